"""Double-entry bookkeeping: the postings of every event that moves money. Pure.

Imports: schemas and kernel.
"""
