"""Kuaidi100: its pushes and answers about parcels of any carrier in China.

Imports: the carrier port, and what gateways share.
"""
