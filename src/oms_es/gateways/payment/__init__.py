"""Payments: the port that every provider answers, and the providers.

Imports: schemas and kernel.
"""
