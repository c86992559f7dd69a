"""Reactions that move returns: opened for an order, and followed to their end.

Imports: schemas and kernel.
"""
