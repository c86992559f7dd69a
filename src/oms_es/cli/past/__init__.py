"""Read models as they were: rows as of a moment, what differs between two, what made a row, and the states that are
kept so that it is fast.

Imports: all below.
"""
