"""What the engine asks of others: payment providers, carriers, warehouses, and simulators of them.

A gateway turns an event into a request and an answer into a command. Imports: schemas, kernel, and below.
"""
