"""Routes by which people settle what waits for them: dead letters, and orders that were sent again with other content.

Imports: what `http` shares, and what is below it.
"""
