"""People are forgotten: whose data it is, where it is in the clear, and how it goes.

Imports: what the package around it may.
"""
