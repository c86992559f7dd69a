"""Much of history at once: processes that share it out, and memory that is bounded however much it is.

`processes` shares work out, `overflow` holds what was read in memory and in a file, `seen_ids` which ids there were.
Imports: store and below.
"""
