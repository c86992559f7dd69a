"""Pages with figures: reports.

Imports: what the package around it may.
"""
