"""Double-entry books: what every event of money means in accounts. Pure.

Imports: schemas and kernel.
"""
