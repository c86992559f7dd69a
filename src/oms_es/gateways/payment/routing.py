"""Routing of payment requests to one of several providers.

Invariant: the provider of a request follows from the request alone, never from settings, from the routes that are in
force now, or from which provider answers: a repeated request goes to the same provider, so that no money is asked for
twice. A request that names its gateway goes there, or waits until it is configured. Of the others, one based on an
order of a provider goes to that provider, by the order's name; a new payment goes by its token, and a provider that is
not configured here declines it. A provider that does not answer gets no request for a while, by its breaker: requests
for it are held, and the others go on. A new payment for a gateway that does not exist is declined: none was asked.
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
from oms_es.schemas.catalog.routes import PAYMENT_GATEWAYS

STRIPE = "stripe"
"""The provider for everything that matches no other: Stripe's references and tokens have no certain pattern."""
PREPAID = (wechatpay.PROVIDER, alipay.PROVIDER)
STARTING = frozenset({"authorize", "reauthorize"})
Question = Callable[[PaymentProvider, Sequence[Ask]], Sequence[Answer]]
UNKNOWN = "unknown"
"""The label of every name that no gateway has: stored events may contain any."""
ASKED_MAX = 40
"""Requests that are sent to one provider at once: if it does not answer, so many wait for the time-out, and no more."""


def provider_of(ask: Ask) -> str:
    """Return the name of the provider for a request that names no gateway."""
    if ask.operation not in STARTING:
        name = ask.authorization.partition(":")[0]
        return name if name in PREPAID else STRIPE
    token = ask.payment_token
    if token == wechatpay_tokens.NATIVE or token.startswith(wechatpay_tokens.JSAPI):
        return wechatpay.PROVIDER
    return alipay.PROVIDER if token in (alipay_tokens.CODE, alipay_tokens.PAGE) else STRIPE


class Providers:
    """The configured providers, by name. If there is only one, it gets every new payment that names no other. Methods
    raise GatewayUnavailable."""

    def __init__(
        self,
        providers: Mapping[str, PaymentProvider],
        breakers: Mapping[str, Breaker] | None = None,
        provider_of: Callable[[Ask], str] = provider_of,
    ) -> None:
        """`provider_of`: the provider for a request that names no gateway."""
        self._providers = providers
        self._provider_of = provider_of
        self.breakers = breakers or {name: Breaker(name) for name in providers}

    def _name_of(self, ask: Ask) -> str:
        if ask.gateway:
            return ask.gateway
        if len(self._providers) == 1 and ask.operation in STARTING:
            return next(iter(self._providers))
        return self._provider_of(ask)

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
            label = name if name in self._providers or name in PAYMENT_GATEWAYS else UNKNOWN
            for answer in found:
                PAYMENT_ANSWERS.labels(label, answer.outcome).inc()
        return [answers[number] for number in range(len(asks))]

    def _guarded(
        self, name: str, provider: PaymentProvider, question: Question, asks: Sequence[Ask]
    ) -> Sequence[Answer]:
        """Send requests, a few at a time, as long as the provider answers. If it is the only provider, raise
        GatewayUnavailable."""
        breaker, answers, left, why = self.breakers[name], dict[int, Answer](), list(range(len(asks))), ""
        while left and not why:
            few = left[:ASKED_MAX] if not breaker.is_open else left
            few = few[breaker.allowed(len(few))]
            why = self._try(breaker, provider, question, {number: asks[number] for number in few}, answers)
            left = [number for number in left if number not in answers]
        if left and not answers and len(self._providers) == 1:
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
        """Send a batch and add its answers; return why no further batch is to be sent, or an empty string.

        A look-up that finds nothing does not close a circuit: the provider can be read, and may take nothing in. It is
        the one try of a half open circuit, and its answer has the reason for which the circuit is open.
        """
        if not asks:
            return breaker.circuit.why
        said: Sequence[Answer] = ()
        why = f"{breaker.gateway} leaves {len(asks)} requests without an answer"
        try:
            said = question(provider, list(asks.values()))
        except GatewayUnavailable as error:
            why = str(error)
        outcomes = {answer.outcome for answer in said} - {"unknown"}
        if outcomes == {"absent"} and breaker.is_open:
            answers.update((number, Answer("absent", reason=breaker.circuit.why)) for number in asks)
            return breaker.circuit.why
        answers.update(zip(asks, said, strict=False))
        if outcomes - {"absent"}:
            breaker.succeeded()
        if outcomes:
            return ""
        breaker.failed(why, [ask.key for ask in asks.values()])
        return why if not said or breaker.is_open else ""

    def _unknown(self, ask: Ask, name: str) -> Answer:
        if ask.operation in STARTING and not ask.gateway:
            return Answer(
                "declined",
                reason=f"{ask.payment_token.partition(':')[0][:20]} is paid by {name}, which is not set up here",
            )
        return self._missing(ask, name)

    def _missing(self, ask: Ask, name: str) -> Answer:
        if ask.operation in STARTING and name not in PAYMENT_GATEWAYS:
            known = ", ".join(PAYMENT_GATEWAYS)
            why = f"there is no payment gateway {name[:40]}; publish routes that name {known}, then retry the payment"
            return Answer("declined", reason=why, retriable=True)
        why = f"{ask.payment_id} rests on {name}, which is not set up here; add it to OMS_PAYMENTS"
        return Answer("unavailable", reason=why)
