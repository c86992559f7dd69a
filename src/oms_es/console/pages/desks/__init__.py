"""Pages for people who handle goods: returns, shipping and reorders.

Imports: what the package around it may.
"""
