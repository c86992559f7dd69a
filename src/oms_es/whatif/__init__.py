"""Real history lived again on a fork in memory, under other rules or as it was.

Imports: memory, app and below. The command line, the console and tests import it.
"""
