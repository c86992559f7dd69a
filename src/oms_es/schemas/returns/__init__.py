"""Vocabulary of returns: authorisations, policies, feedback.

Imports: `schemas.values` and the vocabulary that it refers to.
"""
