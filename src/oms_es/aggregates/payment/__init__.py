"""A payment: authorised, captured, refunded, disputed, and the provider's reports about it.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
