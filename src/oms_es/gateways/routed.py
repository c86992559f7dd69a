"""Several gateways of one role: each intent goes to the one that it names.

Invariant: where an intent goes follows from itself and from the order of the settings alone, never from which gateway
answers: asked again, it goes where it went. An intent whose gateway is not set up is held, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oms_es.gateways.breaker import Breaker
from oms_es.kernel import Command, Event, Gateway, GatewayUnavailable, Recorded

Naming = Callable[[Event], str | None]
"""Returns the gateway that an intent names, or None."""


class RoutedGateway:
    """`gateways`: by name; the first takes what names none."""

    def __init__(self, gateways: Mapping[str, Gateway], named: Naming) -> None:
        self.gateways = gateways
        self.first = next(iter(gateways))
        self.name = gateways[self.first].name
        self.intents = gateways[self.first].intents
        self.batch_max = min(gateway.batch_max for gateway in gateways.values())
        self.named = named

    @property
    def breakers(self) -> Sequence[Breaker]:
        return [breaker for gateway in self.gateways.values() for breaker in getattr(gateway, "breakers", ())]

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Have each gateway perform its intents. Raise GatewayUnavailable, with the answers of the others."""
        names = [self.named(intent.event) or self.first for intent in intents]
        answers: dict[int, Sequence[Command]] = {}
        why: list[str] = []
        for name in dict.fromkeys(names):
            mine = [number for number, other in enumerate(names) if other == name]
            said, problem = self._asked(name, [intents[number] for number in mine])
            why += [problem] if problem else []
            answers |= {number: one for number, one in zip(mine, said, strict=True) if one is not None}
        if len(answers) == len(intents):
            return [answers[number] for number in range(len(intents))]
        # with nothing to go on with, the role pauses
        all_out = not answers and len(self.gateways) == 1 and self.gateways.keys() >= {*names}
        raise GatewayUnavailable("; ".join(why), () if all_out else [answers.get(n) for n in range(len(intents))])

    def _asked(self, name: str, intents: Sequence[Recorded]) -> tuple[Sequence[Sequence[Command] | None], str]:
        """Return an answer for each intent, None for one without an answer, and why some have none."""
        gateway = self.gateways.get(name)
        if gateway is None:
            why = f"{self.name} {name} is not set up here, and {len(intents)} wait for it"
            return [None] * len(intents), why
        try:
            return gateway.perform(intents), ""
        except GatewayUnavailable as error:
            return [*error.answered, *[None] * (len(intents) - len(error.answered))], str(error)
