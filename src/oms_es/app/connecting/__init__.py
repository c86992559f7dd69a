"""Connections to real payment providers and carriers, made from the settings, and queries for reports that did not
come.

Imports: gateways, and whatever the engine is made of.
"""
