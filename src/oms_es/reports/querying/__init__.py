"""Users' own SQL queries, over read models or over an export: one query, which can read the given tables only.

Imports: schemas, projections, `reports.exporting` and `reports.queries`.
"""
