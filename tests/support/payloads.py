"""Bytes of every dialect, made from what its reader declares: a usual message, with values at every bound in it."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel

from oms_es.channels import canonical
from oms_es.channels import shopify_order as shopify
from oms_es.channels import woocommerce_order as woocommerce
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.carrier.easypost import dialect as easypost
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.payment import stripe_shapes
from oms_es.gateways.payment.alipay import dialect as alipay
from oms_es.gateways.payment.wechatpay import dialect as wechatpay
from oms_es.schemas.order import PlaceOrder
from oms_es.simulation.requests.inputs import Inputs


class WeChatPayPaid(BaseModel):
    event_type: Literal["TRANSACTION.SUCCESS"]
    resource: wechatpay.Transaction


class WeChatPayRefunded(BaseModel):
    event_type: Literal["REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"]
    resource: wechatpay.Refund


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
    "alipay": (alipay.Notice,),
    "wechatpay": (WeChatPayPaid, WeChatPayRefunded),
    "stripe": (stripe_shapes.Intent, stripe_shapes.Charge, stripe_shapes.Refund, stripe_shapes.Dispute),
}


def payload(dialect: str, inputs: Inputs) -> bytes:
    shapes = SHAPES.get(dialect) or SHAPES[dialect.partition("_")[0]]
    reported = inputs.fields(inputs.chance.choice(shapes))
    return json.dumps(reported, default=str).encode()
