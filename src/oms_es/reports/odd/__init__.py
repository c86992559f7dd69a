"""What is odd: days on which a figure is far from what its own past foretells.

Imports: `reports.figures` and what it imports.
"""
