"""Reactions: which commands follow from an event. A file has the name of its consumer group.

Pure: a reaction declares the rows that it needs, and receives them. A family imports its own family, `schemas` and
`kernel`.
"""
