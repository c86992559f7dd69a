"""Carriers and trackers of parcels on this machine.

Imports: the serving of handlers, and what gateways share.
"""
