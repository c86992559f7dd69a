"""Commands of finance: statements, their reconciliation, the books.

Imports: everything below `cli`.
"""
