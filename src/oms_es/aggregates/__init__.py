"""The rules: for each aggregate what a command decides (`decide`) and what an event does to the state (`evolve`).

Pure: no I/O, no clock, no chance. A family imports its own family, `schemas`, `kernel` and the shared modules here.
"""
