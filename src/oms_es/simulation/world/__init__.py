"""What lies around the engine, in memory: PostgreSQL, Kafka, providers and carriers, with all that can go wrong there.

Imports: app and below.
"""
