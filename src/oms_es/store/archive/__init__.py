"""Archived events: the rows of old events stay in the log, and what they say stands in compressed files.

`files` writes and reads them, `reading` is how everything reads an event's bytes, `tables` lists the files.
Imports: the database, what proves events, the folder of documents.
"""
