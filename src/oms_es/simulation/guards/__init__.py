"""The guards of the design, each with what removes it: the simulation must be able to fail.

Imports: the simulation. Nothing here is part of the engine.
"""
