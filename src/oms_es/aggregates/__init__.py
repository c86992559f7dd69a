"""The rules of each aggregate: which events a command leads to (`decide`) and how an event changes the state
(`evolve`).

Pure: no I/O, no clock, no chance. A family imports its own family, `schemas`, `kernel` and the shared modules here.
"""
