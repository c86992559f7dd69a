"""The rules of finance: customers' accounts, statements of banks and providers, and their reconciliation.

Imports: schemas and kernel.
"""
