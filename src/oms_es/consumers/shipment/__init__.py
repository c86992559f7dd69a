"""Reactions that move parcels: release, cartons, carrier notifications, tracking.

Imports: schemas, and `consumers.sourcing` for the carrier's choice.
"""
