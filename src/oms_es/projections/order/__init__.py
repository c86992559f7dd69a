"""Read models of orders: status, timeline, numbers, recipients, backorders, sales by day.

Imports: schemas, kernel and `projections.base`.
"""
