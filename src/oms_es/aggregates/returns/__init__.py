"""What comes back: return merchandise authorisations, return policies, and feedback.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
