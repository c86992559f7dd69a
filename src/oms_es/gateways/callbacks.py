"""Dialects of payment providers, carriers and warehouses: each turns bytes into a command, or raises BadInput.

CALLBACKS registers each dialect once: `callbacks import` and the replay of dead letters take them from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.carrier.easypost import dialect as easypost
from oms_es.gateways.carrier.kuaidi100 import dialect as kuaidi100
from oms_es.gateways.carrier.sfexpress import dialect as sfexpress
from oms_es.gateways.payment import port as payment
from oms_es.gateways.payment import stripe
from oms_es.gateways.payment.alipay import dialect as alipay
from oms_es.gateways.payment.wechatpay import dialect as wechatpay
from oms_es.gateways.warehouse import port as warehouse
from oms_es.kernel import Command
from oms_es.schemas.sent import check_sent

Parse = Callable[[bytes], Command]


def _checked(parse: Parse) -> Parse:
    @wraps(parse)
    def parsed(payload: bytes) -> Command:
        check_sent(payload)
        return parse(payload)

    return parsed


CALLBACKS: dict[str, Parse] = {
    "payment_callback": _checked(payment.parse_callback),
    "stripe": _checked(stripe.parse_event),
    "wechatpay": _checked(wechatpay.parse_notice),
    "alipay": _checked(alipay.parse_notice),
    "carrier_callback": _checked(carrier.parse_callback),
    "easypost_tracker": _checked(easypost.parse_tracker),
    "kuaidi100": _checked(kuaidi100.parse_push),
    "sfexpress": _checked(sfexpress.parse_routes),
    warehouse.DIALECT: _checked(warehouse.parse_answer),
}
