"""Odd days: days on which a figure is far from what its own past leads one to expect.

Imports: `reports.figures` and what it imports.
"""
