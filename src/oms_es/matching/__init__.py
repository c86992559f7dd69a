"""Matching of statement lines with movements: proposes matches with their reasons, and breaks. Pure.

Imports: schemas and kernel.
"""
