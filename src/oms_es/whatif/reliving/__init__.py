"""History lived again as it was: what came from outside read back from it, and given to the engine in memory.

Imports: memory, app and below, and what a command may become (`whatif.changes`).
"""
