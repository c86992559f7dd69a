"""Vocabulary of what orders refer to: items, locations, serial numbers, numbering, rules, rates.

Imports: `schemas.values`.
"""
