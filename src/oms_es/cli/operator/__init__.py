"""Commands for people who run the engine: processes, topics, keys, checks, the demo, the simulation.

Imports: what `cli` shares, and everything below it.
"""
