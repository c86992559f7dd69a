"""What finance asks over HTTP: statements in, their reconciliation, the books.

Imports: what `http` shares, and what is below it.
"""
