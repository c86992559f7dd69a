"""Tables of the HTTP interface and of webhooks: keys, secrets, answers given before, deliveries.

Imports: database, kernel.
"""
