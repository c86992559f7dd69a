"""EasyPost: rates, labels and their refunds for many carriers, and its reports about parcels.

Imports: the carrier port, and what gateways share.
"""
