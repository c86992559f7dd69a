"""Reactions that move an order on: progress, numbers, merges, backorders, deadlines.

Imports: schemas, and `consumers.sourcing` for the backorder filler.
"""
