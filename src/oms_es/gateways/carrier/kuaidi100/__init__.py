"""Kuaidi100: what it pushes, or answers, of parcels by any carrier of China.

Imports: the carrier port, and what gateways share.
"""
