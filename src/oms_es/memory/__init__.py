"""PostgreSQL in memory, as far as the engine knows it: the log, positions and rows, for simulations and for what is
re-lived.

Imports: kafka, processing and below.
"""
