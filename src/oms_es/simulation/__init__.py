"""The engine in memory under a deterministic schedule of faults, drawn from a seed.

Imports: app and below. Only the command line and tests import it.
"""
