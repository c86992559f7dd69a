"""Personal data in the log: a key per order, keys that wrap those, and which parts of an event they are used for.

Imports: schemas, kernel, database, errors.
"""
