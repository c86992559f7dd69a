"""PostgreSQL in memory, as far as the engine uses it: the log, positions and rows, for simulations and for replays of
history.

Imports: kafka, processing and below.
"""
