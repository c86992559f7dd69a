"""An order from its placement to its end; `decider` gathers what the other modules decide and evolve.

More than twelve files: each is one chapter of an order's life, and all of them evolve and decide the same state.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
