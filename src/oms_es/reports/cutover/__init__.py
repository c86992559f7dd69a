"""Moving from another system, and back: orders and stock in figures that both systems know, and where the figures
differ.

Read-only, as all of `reports`.
Imports: what the package around it may.
"""
