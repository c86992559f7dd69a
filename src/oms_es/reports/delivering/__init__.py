"""Reports that are made by a schedule, as files in a folder from which others fetch them: each is made once.

Imports: `reports.figures`, `reports.querying` and what they import.
"""
