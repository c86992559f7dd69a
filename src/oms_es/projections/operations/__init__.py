"""Read models for operators: deadlines, exceptions, webhook subscriptions and connections.

Imports: schemas, kernel and `projections.base`.
"""
