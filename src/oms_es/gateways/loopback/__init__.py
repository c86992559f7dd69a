"""Servers on this machine that behave, and fail, like real providers: for tests, and for trying a configuration.

They move no money and no goods. Imports: nothing of ours.
"""
