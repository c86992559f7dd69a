"""Invoices and credit notes of our own: what each says, as XML and as a PDF, and the gateway that issues them.

Imports: what the package around it may.
"""
