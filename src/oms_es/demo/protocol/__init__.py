"""The demo's week over the providers' own protocols: their servers on this machine, and their bills at the end.

Imports: what the demo imports, and the loopback servers of the gateways.
"""
