"""A shop of one week, and history of a real data set.

Imports: app and below.
"""
