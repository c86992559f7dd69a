"""What finance asks: statements and their lines, and what a reconciliation reads and found.

Imports: matching, and `reports.queries`.
"""
