"""Commands for whoever runs the engine: processes, topics, keys, checks, the demo, the simulation.

Imports: what `cli` shares, and everything below it.
"""
