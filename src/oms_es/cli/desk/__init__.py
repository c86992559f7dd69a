"""Commands for people who work with orders: lists, single entities, stock, exceptions, dead letters, reports.

Imports: what `cli` shares, and everything below it.
"""
