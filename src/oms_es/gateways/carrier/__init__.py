"""Carriers: the port that every carrier answers, and the carriers.

Imports: schemas and kernel.
"""
