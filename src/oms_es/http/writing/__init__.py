"""Routes that write: orders, commands, webhooks, decisions on dead letters.

Imports: what `http` shares, and what is below it.
"""
