"""The event log in PostgreSQL: append, read, codec, snapshots, outbox, dead letters, documents.

Imports: database, schemas, kernel.
"""
