"""Reactions that move parcels: release, cartons, carrier bookings, tracking.

Imports: schemas, and `consumers.sourcing` for the choice of the carrier.
"""
