"""Servers on this machine that speak as real providers do, and fail as they do: for tests, and for trying a set-up.

They move no money and no goods. Imports: nothing of ours.
"""
