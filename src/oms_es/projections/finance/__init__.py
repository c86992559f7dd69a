"""Read models of finance: statements and their lines.

Imports: schemas, kernel and `projections.base`.
"""
