"""Reactions that move stock: allocation, transfers, serial numbers, replenishment.

Imports: schemas and kernel.
"""
