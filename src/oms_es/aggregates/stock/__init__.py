"""The stock of one SKU at one location: units on hand by place and lot, and the reservations of them.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
