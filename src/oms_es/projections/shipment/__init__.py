"""Read models of shipments: tracking numbers and what carriers reported of them.

Imports: schemas, kernel and `projections.base`.
"""
