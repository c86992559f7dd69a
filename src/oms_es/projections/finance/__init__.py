"""Read models of finance: customers' accounts, money movements, statements and their reconciliation.

Imports: schemas, kernel and `projections.base`.
"""
