"""Old events moved out of the log into files, and back.

Imports: the store, what is sealed, and who reads the log.
"""
