"""Bytes in every dialect, generated from its reader's declarations: a usual message with values at every bound."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel

from oms_es.channels import canonical
from oms_es.channels import shopify_order as shopify
from oms_es.channels import woocommerce_order as woocommerce
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.carrier.easypost import dialect as easypost
from oms_es.gateways.carrier.kuaidi100 import dialect as kuaidi100
from oms_es.gateways.carrier.sfexpress import dialect as sfexpress
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.payment import stripe_shapes
from oms_es.gateways.payment.alipay import dialect as alipay
from oms_es.gateways.payment.wechatpay import dialect as wechatpay
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.shipment import AnswerPick
from oms_es.simulation.requests.inputs import Inputs


class WeChatPayPaid(BaseModel):
    event_type: Literal["TRANSACTION.SUCCESS"]
    resource: wechatpay.Transaction


class WeChatPayRefunded(BaseModel):
    event_type: Literal["REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"]
    resource: wechatpay.Refund


class Kuaidi100Line(BaseModel):
    """A line of a history; its times have a form of their own."""

    context: str
    time: Literal["2026-01-02 16:33:19", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "1970-01-01 07:59:59", "today"]
    status: Literal["在途", "签收", "退签", "新词"] | None = None
    statusCode: Literal["0", "3", "304", "4", "77"] | None = None  # noqa: N815 - its name


class Kuaidi100Result(kuaidi100.Result):
    data: list[Kuaidi100Line] = []  # type: ignore[assignment] # the same, as it is written


class SfRoute(BaseModel):
    """A route; its times have a form of their own."""

    acceptTime: Literal["2026-01-02 16:33:19", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "today"]  # noqa: N815
    opCode: Literal["50", "80", "99", "9999"]  # noqa: N815 - its name
    remark: str | None = None
    reasonCode: Literal["", "2"] | None = None  # noqa: N815 - its name


class SfHistory(sfexpress.History):
    routes: list[SfRoute]  # type: ignore[assignment] # the same, as it is written


class Kuaidi100Push(kuaidi100.Push):
    lastResult: Kuaidi100Result  # noqa: N815 - its name


SHAPES: dict[str, tuple[type[BaseModel], ...]] = {
    "canonical": (PlaceOrder, *canonical.SHAPES.values()),
    "shopify": (shopify.ShopifyOrder,),
    "shopify_fulfillment": (shopify.FulfillmentSent,),
    "shopify_refund": (shopify.RefundSent,),
    "woocommerce": (woocommerce.WooOrder,),
    "woocommerce_deleted": (woocommerce.Deleted,),
    "woocommerce_refund": (woocommerce.WooRefund,),
    "payment_callback": (payment_provider.Callback,),
    "carrier_callback": (carrier.Callback,),
    "easypost_tracker": (easypost.Tracker, easypost.Webhook),
    "pick_answer": (AnswerPick,),
    "kuaidi100": (Kuaidi100Push, Kuaidi100Result),
    "sfexpress": (SfHistory,),
    "alipay": (alipay.Notice,),
    "wechatpay": (WeChatPayPaid, WeChatPayRefunded),
    "stripe": (stripe_shapes.Intent, stripe_shapes.Charge, stripe_shapes.Refund, stripe_shapes.Dispute),
}


def payload(dialect: str, inputs: Inputs) -> bytes:
    shapes = SHAPES.get(dialect) or SHAPES[dialect.partition("_")[0]]
    reported = inputs.fields(inputs.chance.choice(shapes))
    return json.dumps(reported, default=str).encode()
