"""A shipment: packed, booked, under way, delivered, returned or lost, with the tracking of its cartons.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
