"""Use cases of finance: import statements, reconcile accounts, read invoices. Imports: what the package
around it may."""
