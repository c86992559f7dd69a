"""Read models for those who run the engine: deadlines and exceptions.

Imports: schemas, kernel and `projections.base`.
"""
