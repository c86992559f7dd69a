"""Questions of people who run the engine: how far readers have come, what waits for a gateway, which exceptions are
open.

Read-only, as all of `reports`.
"""
