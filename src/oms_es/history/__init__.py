"""Read models as of a time, differences between two times, and the events that a row or a decision follows from.

Read-only. Imports: verification and below.
"""
