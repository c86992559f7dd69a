"""Gateways to payment providers, carriers and warehouses, and simulators of them.

A gateway turns an event into a request and an answer into a command. Imports: schemas, kernel, and below.
"""
