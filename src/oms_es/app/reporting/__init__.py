"""Reports that the engine makes by their schedules, and puts where others fetch them.

Imports: reports, the store of documents, and whatever the engine is made of.
"""
