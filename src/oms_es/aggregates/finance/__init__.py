"""What statements say, and how they are reconciled: `decide` and `evolve`.

Imports: schemas and kernel.
"""
