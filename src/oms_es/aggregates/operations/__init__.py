"""What people work on: exceptions, reactions that were put aside, documents, webhook subscriptions and connections.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
