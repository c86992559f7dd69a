"""Commands for people who work with orders: lists, one thing, stock, exceptions, dead letters, figures.

Imports: what `cli` shares, and everything below it.
"""
