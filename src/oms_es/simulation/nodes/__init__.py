"""Simulated processes: the engine on one log, workers of consumer groups, the relay, and clients.

Imports: `simulation.world`, app and below.
"""
