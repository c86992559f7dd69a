"""The guards of the design, each with a switch that removes it: the simulation must be able to fail.

Nothing here is part of the engine. A guard is removed by replacing one of the components that nodes are made of;
tests/system/simulation shows that the simulation fails without any one of them, within some hundred seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from oms_es.kernel import Decider
from oms_es.simulation.campaign import campaign
from oms_es.simulation.components import WHOLE, Components
from oms_es.simulation.guards.removals import (
    AnyGeneration,
    AnyGreater,
    AsksEarly,
    BelievesItsCache,
    BelievesRefusals,
    BelievesTheEnd,
    BelievesTheRelay,
    CommittedFacts,
    Everyone,
    ForgetfulEffectStore,
    HoldsNothing,
    NeverOvertaken,
    NoFence,
    NoLock,
    NoRowLock,
    PositionFirst,
    Remembers,
    SavesFirst,
    SealsOver,
    TakesAgain,
    TrustsMessages,
    Unbounded,
    Whole,
)
from oms_es.simulation.guards.removals_at_the_edges import (
    AllAtOnce,
    AnswersAnyway,
    DoneBeforehand,
    ForgetsAnswers,
    KeepsLater,
    MovesFirst,
    believes_every_signature,
)
from oms_es.simulation.guards.removed_rules import (
    believes_early_failures,
    believes_every_amount,
    forgets_its_gateway,
    forgets_what_is_held,
    hears_nothing_early,
    keeps_no_report,
    nothing_expires,
    numbered,
    presells_anything,
    promises_anything,
    remembers_whom_it_forgot,
    ships_without_money,
    takes_every_report,
)
from oms_es.simulation.scenario import PROFILES


class Guard(NamedTuple):
    """A guard. `breaks`: what goes wrong without it."""

    name: str
    where: str
    breaks: str
    without: Callable[[Components], Components]
    profile: str = "stormy"


def _with(change: Callable[[Decider[Any]], Decider[Any]], category: str) -> Callable[[Components], Components]:
    return lambda components: replace(
        components,
        deciders=tuple(change(decider) if decider.category == category else decider for decider in components.deciders),
    )


GUARDS: tuple[Guard, ...] = (
    Guard(
        "position compare-and-set",
        "`store/recorder.py`",
        "two workers that have one position both do what follows: rows count it twice",
        lambda components: replace(components, database=AnyGreater),
    ),
    Guard(
        "position in the transaction of its effects",
        "`store/store.py`",
        "a batch that fails after its position has moved is never done",
        lambda components: replace(components, recorder=PositionFirst),
        "hurricane",
    ),
    Guard(
        "rows forgotten at every seek",
        "`processing/loop.py`",
        "events are folded into rows that another worker has changed",
        lambda components: replace(components, read_model=Remembers),
        "hurricane",
    ),
    Guard(
        "seal compare-and-set",
        "`store/sealing/seals.py`",
        "of two sealers the slower one takes back what was signed: a checkpoint is of fewer events than the one before",
        lambda components: replace(components, sealing=SealsOver),
        "hurricane",
    ),
    Guard(
        "answers kept under the keys of their requests",
        "`processing/committer.py`",
        "a request whose answer was lost is answered as if nothing had come of it",
        lambda components: replace(components, answers=ForgetsAnswers),
    ),
    Guard(
        "answer after the transaction",
        "`processing/committer.py`",
        "a caller is answered that an order is taken, and it is nowhere",
        lambda components: replace(components, answering=AnswersAnyway),
    ),
    Guard(
        "a dead letter is stored before the sender of a webhook is answered",
        "`processing/intake/webhooks.py`",
        "a webhook that could not be used is answered for and nowhere, and its sender never sends it again",
        lambda components: replace(components, keep=KeepsLater()),
    ),
    Guard(
        "signature of a webhook",
        "`channels/signatures.py`",
        "goods are sent for an order that someone without the connection's secret made up",
        lambda components: replace(components, verifier=believes_every_signature),
    ),
    Guard(
        "deliveries in the transaction of a subscription's position",
        "`store/http/subscriptions.py`",
        "a sender that stops in between never sends what happened",
        lambda components: replace(components, deliveries=MovesFirst),
        "hurricane",
    ),
    Guard(
        "delivered when the receiver has said so",
        "`app/deliveries.py`",
        "a webhook whose receiver was away is never sent again",
        lambda components: replace(components, deliveries=DoneBeforehand),
    ),
    Guard(
        "one delivery of an order at a time",
        "`store/http/subscriptions.py`",
        "a receiver has an order completed before it was placed",
        lambda components: replace(components, deliveries=AllAtOnce),
    ),
    Guard(
        "append lock",
        "`store/recorder.py`",
        "positions do not rise in the order of commits: a reader of the log's end misses events",
        lambda components: replace(components, recorder=NoLock),
    ),
    Guard(
        "stale streams asked for under the append lock",
        "`store/store.py`",
        "decisions are made from states that are not the newest",
        lambda components: replace(components, recorder=BelievesItsCache),
    ),
    Guard(
        "every cached stream doubted that others may have overtaken",
        "`store/store.py`",
        "a stream overtaken before the store last looked is taken for the newest",
        lambda components: replace(components, store=BelievesTheEnd),
    ),
    Guard(
        "refusals believed only from the newest state",
        "`store/store.py`",
        "a command that is right is refused, and its consumer stops",
        lambda components: replace(components, store=BelievesRefusals),
    ),
    Guard(
        "facts no older than the event that asks",
        "`processing/loop.py`",
        "stock that came is not seen: an order waits although there is stock",
        lambda components: replace(components, consumer=Unbounded),
    ),
    Guard(
        "end of the log asked for before a chain is committed",
        "`store/store.py`",
        "a reader that has taken a chain's events passes what others wrote between them",
        lambda components: replace(components, store=NeverOvertaken),
    ),
    Guard(
        "facts of a chain with what it has changed itself",
        "`processing/chain.py`",
        "stock that came in the same transaction is not seen: an order waits although there is stock",
        lambda components: replace(components, chain=CommittedFacts),
    ),
    Guard(
        "partition taken up to the end before a chain goes on from there",
        "`kafka/groups/group_chain.py`",
        "what is on its way to a reader is passed when the reader takes what follows",
        lambda components: replace(components, group_chain=BelievesTheRelay),
        "kafka",
    ),
    Guard(
        "rows of several workers asked for again before a chain is committed",
        "`processing/read_models/model.py`",
        "of two additions to a day's load one is lost",
        lambda components: replace(components, read_model=HoldsNothing),
        "crowd",
    ),
    Guard(
        "repeats skipped by position",
        "`kafka/groups/group_worker.py`",
        "what the relay publishes twice counts twice",
        lambda components: replace(components, feed=TakesAgain),
        "kafka",
    ),
    Guard(
        "chain of predecessors",
        "`kafka/groups/group_worker.py`",
        "what a topic has lost is never done",
        lambda components: replace(components, feed=TrustsMessages),
        "kafka",
    ),
    Guard(
        "relay's lock and epoch",
        "`kafka/relay/leadership.py`",
        "two relays publish a partition's events with different predecessors",
        lambda components: replace(components, leadership=Everyone, relay_store=NoFence),
        "kafka",
    ),
    Guard(
        "relay's position after the acknowledgement",
        "`kafka/relay/event_publisher.py`",
        "events are missing from the topics for ever",
        lambda components: replace(components, publisher=SavesFirst),
        "kafka",
    ),
    Guard(
        "lock on rows that several streams feed",
        "`processing/read_models/rows.py`",
        "of two additions to a day's sales one is lost",
        lambda components: replace(components, rows=NoRowLock),
        "crowd",
    ),
    Guard(
        "generation of the rows",
        "`processing/read_models/rows.py`",
        "what was wrong before a rebuild is written back after it",
        lambda components: replace(components, rows=AnyGeneration),
        "hurricane",
    ),
    Guard(
        "intent before the gateway is asked",
        "`gateways/`",
        "money moves of which history knows nothing",
        lambda components: replace(components, recorder=AsksEarly),
    ),
    Guard(
        "idempotency keys",
        "`gateways/`",
        "an answer that was lost is paid for twice",
        lambda components: replace(components, effect_store=ForgetfulEffectStore),
    ),
    Guard(
        "one effect per reference",
        "`aggregates/payment/decider.py`",
        "a callback sent twice is money twice",
        _with(takes_every_report, "payment"),
    ),
    Guard(
        "gateway of the first intent in every later one",
        "`aggregates/payment/state.py`",
        "money that one gateway holds is captured, voided or refunded at another",
        _with(forgets_its_gateway, "payment"),
        "life",
    ),
    Guard(
        "amount and currency of a report compared with what was asked",
        "`aggregates/payment/reports.py`",
        "anyone who can say that a payment is held has it held, and what the provider holds is not in the log",
        _with(believes_every_amount, "payment"),
        "hostile",
    ),
    Guard(
        "failures that were reported before they were asked for",
        "`aggregates/payment/reports.py`",
        "a refund is taken to have failed that the provider makes, and the customer is paid twice",
        _with(believes_early_failures, "payment"),
        "hostile",
    ),
    Guard(
        "hold for money that is gone",
        "`aggregates/order/missing_money.py`",
        "goods go out whose money was given back or charged back before",
        _with(ships_without_money, "order"),
        "life",
    ),
    Guard(
        "legal holds",
        "`aggregates/order/forgetting.py`",
        "a person is forgotten whose order a court needs",
        _with(forgets_what_is_held, "order"),
        "life",
    ),
    Guard(
        "nothing personal taken of an order that was forgotten",
        "`aggregates/order/forgetting.py`",
        "a person who was forgotten is stored again by what is said of the order later",
        _with(remembers_whom_it_forgot, "order"),
        "life",
    ),
    Guard(
        "reports kept that come before their order",
        "`aggregates/order/elsewhere.py`",
        "what a channel has shipped or cancelled already is shipped again",
        _with(keeps_no_report, "order"),
        "life",
    ),
    Guard(
        "halving down to the failing event",
        "`processing/intake/worker.py`",
        "good callbacks are rejected with a bad one",
        lambda components: replace(components, intake=Whole),
        "hurricane",
    ),
    Guard(
        "order ids derived from the channel's own",
        "`schemas/order/__init__.py`",
        "an order sent twice is two orders",
        numbered,
    ),
    Guard(
        "promises within what is available",
        "`aggregates/stock/`",
        "stock is oversold",
        _with(promises_anything, "stock"),
    ),
    Guard(
        "presales within their limit",
        "`aggregates/stock/`",
        "more is sold before it exists than will come",
        _with(presells_anything, "stock"),
        "life",
    ),
    Guard(
        "locks that go over taken down before their order begins",
        "`aggregates/order/decider.py`",
        "what was split off waits for ever for units that it has",
        _with(hears_nothing_early, "order"),
        "life",
    ),
    Guard(
        "reservations that expire",
        "`consumers/order/deadline_keeper.py`",
        "a cart that was left holds its stock for ever",
        lambda components: replace(components, due=nothing_expires),
    ),
)


def missed(seeds: Iterable[int], minutes: float) -> Iterator[str]:
    """Yield a table row for each guard: what breaks without it, and after how many seeds the simulation found this."""
    for guard in GUARDS:
        summary = campaign(seeds, PROFILES[guard.profile], minutes, guard.without(WHOLE))
        broken = summary.failed[0].violation if summary.failed else None
        seen = f"{summary.seeds} | {broken.check}" if broken else f"not in {summary.seeds} |"
        yield f"| {guard.name} | {guard.where} | {guard.breaks} | {guard.profile} | {seen} |"


BY_NAME: Mapping[str, Guard] = {guard.name: guard for guard in GUARDS}
