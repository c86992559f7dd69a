"""Read models of what orders refer to: locations, items, rules, rates, delivery options.

Imports: schemas, kernel and `projections.base`.
"""
