"""Statements of people's own, over read models or over an export: one query, which reads what it is given and no more.

Imports: schemas, projections, `reports.exporting` and `reports.queries`.
"""
