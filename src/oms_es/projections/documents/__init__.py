"""Read models of documents: what each is attached to, and the fields of invoices.

Imports: schemas, kernel and `projections.base`.
"""
