"""The vocabulary: every event and command, the values that they are made of, and the topics that publish them.

Imports nothing of the project but `kernel` and `door`. Stored names never change; a new field has a default.
"""
