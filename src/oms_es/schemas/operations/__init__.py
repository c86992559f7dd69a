"""Vocabulary of what people see to: exceptions and reactions that were put aside.

Imports: `schemas.values`.
"""
