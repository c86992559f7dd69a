"""Pages for operators beside orders: verification, keys and what-if runs.

Imports: what the package around it may.
"""
