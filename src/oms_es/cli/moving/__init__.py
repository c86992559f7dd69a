"""Moving in from another system: commands in bulk, both systems compared, and the way back.

Imports: everything below the terminal.
"""
