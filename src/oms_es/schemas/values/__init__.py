"""Values that messages are made of: bounded types, money, currencies, countries, names, card masks.

Imports: `kernel` and `door` alone.
"""
