"""Vocabulary of what people work on: exceptions, reactions that were put aside, documents, subscriptions, connections.

Imports: `schemas.values`.
"""
