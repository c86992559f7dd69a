"""Reports of finance: statements and their lines, reconciliation, books, accounts, documents.

Imports: matching, and `reports.queries`.
"""
