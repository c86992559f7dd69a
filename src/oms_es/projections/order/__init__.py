"""Read models of orders: status, timeline, numbers, recipients, customers, backorders, sales by day.

Imports: schemas, kernel and `projections.base`.
"""
