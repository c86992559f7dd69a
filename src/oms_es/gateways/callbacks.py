"""Dialects of payment providers and carriers: each turns bytes into a command, or raises BadInput with the reason.

CALLBACKS registers each dialect once: `callbacks import` and the replay of dead letters take them from there.
"""

from __future__ import annotations

from collections.abc import Callable

from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.carrier.easypost import dialect as easypost
from oms_es.gateways.carrier.kuaidi100 import dialect as kuaidi100
from oms_es.gateways.payment import port as payment
from oms_es.gateways.payment import stripe
from oms_es.gateways.payment.alipay import dialect as alipay
from oms_es.gateways.payment.wechatpay import dialect as wechatpay
from oms_es.kernel import Command

CALLBACKS: dict[str, Callable[[bytes], Command]] = {
    "payment_callback": payment.parse_callback,
    "stripe": stripe.parse_event,
    "wechatpay": wechatpay.parse_notice,
    "alipay": alipay.parse_notice,
    "carrier_callback": carrier.parse_callback,
    "easypost_tracker": easypost.parse_tracker,
    "kuaidi100": kuaidi100.parse_push,
}
