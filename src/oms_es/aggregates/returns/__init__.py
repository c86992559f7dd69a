"""What comes back: return merchandise authorisations, return policies, and feedback.

Imports: schemas and the shared modules of `aggregates`.
"""
