"""SF Express (顺丰): orders with waybill numbers, their cancellation, and the routes of its parcels.

Imports: the carrier port, and what gateways share.
"""
