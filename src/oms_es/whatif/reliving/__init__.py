"""Replay of history: what came from outside is recovered as commands, and given to the engine in memory.

Imports: memory, app and below, and what a command may be changed to (`whatif.changes`).
"""
