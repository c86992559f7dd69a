"""A payment: authorised, captured, refunded, disputed, and what a provider reports of it.

Imports: schemas and the shared modules of `aggregates`.
"""
