"""Read models of stock: levels, places, inbound, serial numbers, replenishment.

Imports: schemas, kernel and `projections.base`.
"""
