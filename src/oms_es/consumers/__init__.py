"""Reactions: which commands follow from an event. A file is named as its consumer group is.

Pure: what a reaction needs to know it declares, and is given as rows. A family imports its own family, `schemas` and
`kernel`.
"""
