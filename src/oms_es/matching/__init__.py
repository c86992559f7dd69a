"""Lines of statements beside what moved here: matches with their reasons, and breaks. Pure.

Imports: schemas and kernel.
"""
