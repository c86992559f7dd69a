"""Payments: the port that every provider implements, and the providers. Imports: schemas and kernel."""
