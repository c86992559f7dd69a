"""Payment providers beside each other: which of them a request is for, and what each of them answers.

Invariant: where a request goes follows from what it says alone, never from settings or from who is well: asked again, a
payment goes where it went, so that no money is asked for twice. What rests on an order of a provider goes back to it by
the order's name; a new payment goes by its token. A provider that is not set up here declines new payments; what rests
on one of its orders waits until it is. One that does not answer is asked no more for a while by its breaker; what is
for it is held, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oms_es.gateways.breaker import Breaker
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
ASKED_MAX = 40
"""Of one provider at once: where it does not answer, so many wait for its time-out, and the others are not asked."""


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

    def __init__(self, providers: Mapping[str, PaymentProvider], breakers: Mapping[str, Breaker] | None = None) -> None:
        self._providers = providers
        self.breakers = breakers or {name: Breaker(name) for name in providers}

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
                found = self._guarded(name, provider, question, [asks[number] for number in mine])
            else:
                found = [without(asks[number], name) for number in mine]
            answers |= dict(zip(mine, found, strict=True))
            for answer in found:
                PAYMENT_ANSWERS.labels(name, answer.outcome).inc()
        return [answers[number] for number in range(len(asks))]

    def _guarded(
        self, name: str, provider: PaymentProvider, question: Question, asks: Sequence[Ask]
    ) -> Sequence[Answer]:
        """A few at a time, as long as it answers. The only provider there is raises GatewayUnavailable."""
        breaker, answers, left, why = self.breakers[name], dict[int, Answer](), list(range(len(asks))), ""
        while left and not why:
            few = left[:ASKED_MAX] if not breaker.is_open else left
            few = few[breaker.allowed(len(few))]
            why = self._try(breaker, provider, question, {number: asks[number] for number in few}, answers)
            left = [number for number in left if number not in answers]
        if left and len(self._providers) == 1:
            raise GatewayUnavailable(why)
        silent = Answer("unavailable", reason=why)
        return [answers.get(number, silent) for number in range(len(asks))]

    def _try(
        self,
        breaker: Breaker,
        provider: PaymentProvider,
        question: Question,
        asks: Mapping[int, Ask],
        answers: dict[int, Answer],
    ) -> str:
        """Adds what is answered, and says why no more is to be asked; nothing if it may be. Where it is looked up and
        not there, what is asked of the provider may still fail: of a closed circuit that says nothing."""
        if not asks:
            return breaker.circuit.why
        said: Sequence[Answer] = ()
        why = f"{breaker.gateway} leaves {len(asks)} requests without an answer"
        try:
            said = question(provider, list(asks.values()))
        except GatewayUnavailable as error:
            why = str(error)
        answers.update(zip(asks, said, strict=False))
        outcomes = {answer.outcome for answer in said} - {"unknown"}
        if outcomes - {"absent"} or (outcomes and breaker.is_open):
            breaker.succeeded()
        if outcomes:
            return ""
        breaker.failed(why, [ask.key for ask in asks.values()])
        return why if not said or breaker.is_open else ""

    def _unknown(self, ask: Ask, name: str) -> Answer:
        if ask.operation in STARTING:
            return Answer(
                "declined",
                reason=f"{ask.payment_token.partition(':')[0][:20]} is paid by {name}, which is not set up here",
            )
        return self._missing(ask, name)

    def _missing(self, ask: Ask, name: str) -> Answer:
        why = f"{ask.payment_id} rests on {name}, which is not set up here; add it to OMS_PAYMENTS"
        return Answer("unavailable", reason=why)
