"""EasyPost: rates, labels and their refunds by many carriers, and what it reports of parcels.

Imports: the carrier port, and what gateways share.
"""
