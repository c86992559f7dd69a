"""Forgetting people: which data is theirs, where it is stored in the clear, and how it is deleted.

Imports: what the package around it may.
"""
