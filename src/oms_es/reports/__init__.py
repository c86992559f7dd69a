"""Questions to the read models and the log: lists, single entities, positions, quotes.

Read-only. Imports: the pure packages and the store.
"""
