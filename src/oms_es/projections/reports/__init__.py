"""Read models of reports that were made by a schedule: their files, and where these were put.

Imports: schemas, kernel and `projections.base`.
"""
