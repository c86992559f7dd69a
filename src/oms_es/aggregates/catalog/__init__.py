"""What orders refer to: items, locations, serial numbers, order numbers, sourcing rules, rates and delivery options.

Imports: schemas, kernel and the shared modules of `aggregates`.
"""
