"""Commands for finance: accounts, statements, reconciliation, documents, the books. Imports: everything below `cli`."""
