"""Read models of shipments: their status, tracking numbers, and carriers' reports.

Imports: schemas, kernel and `projections.base`.
"""
