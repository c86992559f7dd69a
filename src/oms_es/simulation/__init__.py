"""The engine in memory under a deterministic schedule of faults, from a seed.

Imports: app and below. Nothing outside imports it but the command line and tests.
"""
