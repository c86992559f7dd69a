"""Questions of operators: how far readers have come, which intents wait for a gateway, which exceptions are open.

Read-only, as all of `reports`.
Imports: what the package around it may.
"""
