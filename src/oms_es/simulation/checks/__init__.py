"""Checks of every commit that share no code with the engine's decisions.

Imports: what the package around it may.
"""
