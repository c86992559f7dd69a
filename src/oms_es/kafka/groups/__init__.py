"""Consumer groups: which partitions are read here, from where, and how far all roles have come.

Imports: the client of `kafka`, and what is below it.
"""
