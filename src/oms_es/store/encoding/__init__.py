"""How events and commands become bytes and are read again.

Imports: schemas, kernel.
"""
