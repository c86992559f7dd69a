"""The systems around the engine, in memory: PostgreSQL, Kafka, providers and carriers, with everything that can go
wrong there.

Imports: app and below.
"""
