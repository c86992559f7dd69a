"""Personal data in the log: a key per order, and keys that wrap those.

Imports: kernel, database, errors.
"""
