"""The vocabulary: every event and command, the values they are made of, and the topics that publish them.

Imports nothing of the project but `kernel` and `door`. Stored names never change; fields are added with a default.
"""
