"""Which location fulfils an order, and which carrier takes it: lookups, search and choice.

Imports: schemas and kernel; other families may import this one, never the other way round.
"""
