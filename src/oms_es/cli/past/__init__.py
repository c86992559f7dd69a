"""Past states of read models: rows as of a moment, the differences between two moments, the events that made a row, and
states that are kept so that such queries are fast.

Imports: all below.
"""
