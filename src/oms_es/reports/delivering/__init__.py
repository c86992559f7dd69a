"""Reports that are made by a schedule, as files in a folder that others fetch from: each is made once.

Imports: `reports.figures`, `reports.querying` and what they import.
"""
