"""Payment providers beside each other: which of them a request is for, and what each of them answers.

Invariant: where a request goes follows from what it says alone, never from settings or from who is well: asked again, a
payment goes where it went, so that no money is asked for twice. What rests on an order of a provider goes back to it by
the order's name; a new payment goes by its token. A provider that is not set up here declines new payments; what rests
on one of its orders waits until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oms_es.gateways.payment.alipay import dialect as alipay
from oms_es.gateways.payment.alipay import provider as alipay_tokens
from oms_es.gateways.payment.port import Answer, Ask, PaymentProvider
from oms_es.gateways.payment.wechatpay import dialect as wechatpay
from oms_es.gateways.payment.wechatpay import provider as wechatpay_tokens
from oms_es.kernel import GatewayUnavailable
from oms_es.processing.metrics import PAYMENT_ANSWERS

STRIPE = "stripe"
"""Of whose references and tokens no pattern is sure: it has what is no one else's."""
PREPAID = (wechatpay.PROVIDER, alipay.PROVIDER)
STARTING = frozenset({"authorize", "reauthorize"})
Question = Callable[[PaymentProvider, Sequence[Ask]], Sequence[Answer]]


def provider_of(ask: Ask) -> str:
    """By name."""
    if ask.operation not in STARTING:
        name = ask.authorization.partition(":")[0]
        return name if name in PREPAID else STRIPE
    token = ask.payment_token
    if token == wechatpay_tokens.NATIVE or token.startswith(wechatpay_tokens.JSAPI):
        return wechatpay.PROVIDER
    return alipay.PROVIDER if token in (alipay_tokens.CODE, alipay_tokens.PAGE) else STRIPE


class Providers:
    """`providers`: by name. The only one there is says itself what it cannot take. Methods raise GatewayUnavailable."""

    def __init__(self, providers: Mapping[str, PaymentProvider]) -> None:
        self._providers = providers

    def _name_of(self, ask: Ask) -> str:
        if len(self._providers) == 1 and ask.operation in STARTING:
            return next(iter(self._providers))
        return provider_of(ask)

    def submit(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._asked(asks, lambda provider, mine: provider.submit(mine), self._unknown)

    def find(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self._asked(asks, lambda provider, mine: provider.find(mine), self._missing)

    def _asked(
        self, asks: Sequence[Ask], question: Question, without: Callable[[Ask, str], Answer]
    ) -> Sequence[Answer]:
        names = [self._name_of(ask) for ask in asks]
        answers: dict[int, Answer] = {}
        for name in dict.fromkeys(names):
            mine = [number for number, other in enumerate(names) if other == name]
            if provider := self._providers.get(name):
                found = question(provider, [asks[number] for number in mine])
            else:
                found = [without(asks[number], name) for number in mine]
            answers |= dict(zip(mine, found, strict=True))
            for answer in found:
                PAYMENT_ANSWERS.labels(name, answer.outcome).inc()
        return [answers[number] for number in range(len(asks))]

    def _unknown(self, ask: Ask, name: str) -> Answer:
        if ask.operation in STARTING:
            return Answer(
                "declined",
                reason=f"{ask.payment_token.partition(':')[0][:20]} is paid by {name}, which is not set up here",
            )
        return self._missing(ask, name)

    def _missing(self, ask: Ask, name: str) -> Answer:
        raise GatewayUnavailable(f"{ask.payment_id} rests on {name}, which is not set up here; add it to OMS_PAYMENTS")
