"""Documents: where their bytes are kept, how they are read, and what they are.

Imports: database, errors and `store.recorder`.
"""
