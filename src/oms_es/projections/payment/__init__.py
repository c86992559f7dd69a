"""Read models of payments: status, deposits, references, reports of the provider.

Imports: schemas, kernel and `projections.base`.
"""
