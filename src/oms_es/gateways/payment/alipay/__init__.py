"""Alipay's open platform: orders that the customer pays by a code or on a page, refunds, and its reports.

Imports: the payment port, and what gateways share.
"""
