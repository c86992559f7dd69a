"""Routes for finance: import of statements, reconciliation, the books. Imports: what `http` shares, and what is below
it."""
