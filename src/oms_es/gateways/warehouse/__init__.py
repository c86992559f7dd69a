"""Gateways to warehouse systems: requests to pick go out, and answers come in.

Imports: schemas, kernel, and below.
"""
