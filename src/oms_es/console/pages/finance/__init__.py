"""Pages about money: accounts with their reconciliation, documents, and the books.

Imports: what the package around it may.
"""
