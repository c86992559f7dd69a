"""By Kafka and by webhooks, too: a card's number is in no table, topic or answer, and in no line of a log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from http_server import Served
from integration.contract.test_kafka_input import canonical, intake, placed, turn_until
from integration.http.test_webhooks import (
    connected,
    sender,
    shopify_order,
    to_easypost,
    to_shop,
    to_stripe,
    to_web,
    to_woo,
)
from integration.privacy.test_no_card_is_kept import APART, WRITINGS, Cards, everything_in, grouped, orders_with
from oms_es.app import migrate
from oms_es.app.workers import DEAD_LETTERS
from oms_es.kafka.client import Config, Message, Outgoing, Producer, TopicPartition
from oms_es.processing.logging import configure_logging
from oms_es.schemas.topics import CHANNEL_ORDERS
from subscriber import everything_on

__all__ = ["connected", "sender"]

PERSON = "Erika Mustermann"
EVERY = 7
"""So many of the orders with a card go by Kafka; all go by file and over HTTP."""


def messages_with(cards: Cards) -> Iterator[Outgoing]:
    """Return messages with a card number in the payload, the key, a header's value or name, or in bytes that are no
    JSON."""
    at = TopicPartition(CHANNEL_ORDERS, 0)
    for body in list(orders_with(cards, "of-kafka"))[::EVERY]:
        yield Outgoing(at, cards.one().encode(), body.encode(), [])
    for headers in (
        [("card", cards.one().encode())],
        [(f"card {grouped(cards.one(), '-', 0x30)}", None)],
        [("as UTF-16", cards.one().encode("utf-16"))],
    ):
        yield Outgoing(at, b"", b'{"channel": "web"}', [("id", cards.one().encode()), *headers])
    for payload in (cards.one(), f"card {cards.one()};", f'{{"type": "CancelOrder", "{cards.one()}": 1}}'):
        yield Outgoing(at, b"", payload.encode(), [])
    yield Outgoing(at, b"", b"\xff\xfe" + cards.one().encode("utf-16-le"), [])


def messages_of_a_person() -> Iterator[Outgoing]:
    """Return messages with a person's name in the place of an invalid value, and of a field's name."""
    wrongs: tuple[dict[str, Any], ...] = (
        *({PERSON: 1}, {"currency": PERSON}, {"type": PERSON}, {"metadata": {PERSON: {}}}, {"channel": PERSON}),
    )
    for wrong in wrongs:
        payload = json.loads(canonical("of-a-person")) | wrong
        yield Outgoing(TopicPartition(CHANNEL_ORDERS, 0), b"", json.dumps(payload).encode(), [])


def whole(message: Message) -> str:
    parts = [message.value or b"", message.key or b"", *(value or b"" for _, value in message.pairs)]
    return "|x|".join([*(part.decode("utf-8", "replace") for part in parts), *(name for name, _ in message.pairs)])


def test_by_kafka_no_card_is_kept_published_or_logged_and_no_person_is_logged(database_url: str, kafka: Config) -> None:
    migrate(database_url)
    cards = Cards(7)
    sent = [*messages_with(cards), *messages_of_a_person()]
    publisher = Producer(kafka)
    publisher.publish([*sent, Outgoing(TopicPartition(CHANNEL_ORDERS, 0), b"", canonical("good"), [])])
    publisher.close()
    configure_logging(level="debug")
    with capture_logs() as lines, intake(database_url, kafka, relaying=True) as workers:
        turn_until(workers, lambda: placed(database_url) and _settled(database_url))
    published = everything_on(kafka, DEAD_LETTERS)
    assert len(published) >= len(sent) - 2  # the same payload is one dead letter
    for kept in (everything_in(database_url), "|x|".join(map(whole, published)), json.dumps(lines, default=str)):
        cards.are_not_in(kept)
    assert sum(line["event"] == "dead letter" for line in lines) >= len(published)
    assert PERSON not in json.dumps(lines, default=str)


def _settled(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*), count(told_at) FROM oms_dead_letters").fetchone()
    return bool(found and found[0] and found[0] == found[1])


def test_by_webhooks_no_card_is_kept_or_repeated(sender: httpx.Client, served: Served) -> None:
    cards = Cards(9)
    ways: Sequence[Callable[[dict[str, Any]], httpx.Response]] = (
        lambda said: to_shop(sender, json.dumps(said).encode()),
        lambda said: to_shop(sender, shopify_order(7_000, **said)),
        lambda said: to_woo(sender, json.dumps(said, ensure_ascii=False).encode()),
        lambda said: to_web(sender, {"type": "PlaceOrder", **said}),
        lambda said: to_stripe(sender, "payment_intent.succeeded", said),
        lambda said: to_easypost(sender, json.dumps({"object": "Event", **said}).encode()),
    )
    outcomes = set[str]()
    for number, apart in enumerate(APART):
        for zero, _ in WRITINGS[1:]:
            for place, way in enumerate(ways):
                card = grouped(cards.one(), apart, zero)
                said: Any = (
                    {"note": f"card {card}"},
                    {card: "x"},
                    {"currency": card},
                    {"line_items": [{"name": card}]},
                )[(number + place) % 4]
                answer = way(said)
                assert answer.status_code in (200, 202), answer.text
                outcomes.add(answer.json()["outcome"])
                cards.are_not_in(answer.text)
    assert "kept" in outcomes
    cards.are_not_in(everything_in(served.database_url))


@pytest.mark.parametrize("header", ["X-Shopify-Shop-Domain", "X-Shopify-Webhook-Id", "X-Shopify-Event-Id"])
def test_of_a_webhook_s_headers_no_card_is_kept(sender: httpx.Client, served: Served, header: str) -> None:
    cards = Cards(len(header))
    answer = to_shop(sender, json.dumps({"of": header}).encode(), **{header: grouped(cards.one(), "-", 0x30)})
    assert answer.json()["outcome"] == "kept"
    cards.are_not_in(everything_in(served.database_url))
