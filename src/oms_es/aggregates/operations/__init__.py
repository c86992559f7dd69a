"""What people work on: exceptions, reactions that were put aside, documents, webhook subscriptions and connections.

Imports: schemas and the shared modules of `aggregates`.
"""
