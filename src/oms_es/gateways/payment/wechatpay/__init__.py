"""WeChat Pay, API v3: orders that the customer pays by a code or in the app, refunds, and its reports.

Imports: the payment port, and what gateways share.
"""
