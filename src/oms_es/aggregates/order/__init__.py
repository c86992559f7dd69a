"""An order from its placement to its end; `decider` gathers what the other modules decide and evolve.

Imports: schemas and the shared modules of `aggregates`.
"""
