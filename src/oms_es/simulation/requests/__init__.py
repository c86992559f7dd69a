"""The requests of a seed: orders, stock, money, returns, and inputs generated from the schemas.

Imports: schemas and the scenario.
"""
