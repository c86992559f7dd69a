"""Read models of returns, return policies and feedback.

Imports: schemas, kernel and `projections.base`.
"""
