"""What-if: real history replayed on a fork in memory, with changed rules or unchanged.

Imports: memory, app and below. The command line, the console and tests import it.
"""
