"""What a seed asks of the engine: orders, stock, money, returns, and inputs made from the schemas.

Imports: schemas and the scenario.
"""
