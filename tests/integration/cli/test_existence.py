"""A command about something that does not exist is refused, and begins no stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from oms_es.app import DECIDERS, Engine, engine_on
from oms_es.app.replaying import replayed
from oms_es.cli import main as cli
from oms_es.exit_codes import Code
from oms_es.kernel import Refused, stream_fields
from oms_es.reports import queries
from oms_es.reports.existence import BEFORE_ITS_ORDER, BEGINNINGS, Asking, Missing, require
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.operations.exception import (
    AssignException,
    ExceptionCommand,
    OpenException,
    ResolveException,
    SnoozeException,
)
from oms_es.schemas.order import (
    Address,
    CancelOrder,
    MergeOrders,
    OrderLine,
    PlaceOrder,
    RecordMergeAnswer,
    Reservation,
    SourceOrder,
    order_id_of,
)
from oms_es.schemas.order.returns import RequestReturn
from oms_es.schemas.returns.rma import OpenRma, ReturnLine
from oms_es.schemas.shipment import AttachLabel, LabelDocument, RequestShipment
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.dead_letters import StoredDeadLetter
from oms_es.store.documents import table as documents
from oms_es.store.encoding.codec import Cause
from oms_es.store.encoding.command_codec import DIALECT, as_bytes

LINES = json.dumps([{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 300}])
PLACE: tuple[str, ...] = (
    "order",
    "place",
    "--channel",
    "web",
    "--external-id",
    "7",
    "--placed-at",
    "2026-01-01T12:00:00Z",
)
PLACE += ("--currency", "EUR", "--lines", LINES, "--ship-to", json.dumps({"country": "DE"}))
OPEN: tuple[str, ...] = ("location", "open", "berlin", "--country", "DE")
AT = ("A", "berlin")
DOCUMENT = {"sha256": "0" * 64, "media_type": "application/pdf", "byte_count": 3}
OTHERS = [
    command
    for decider in DECIDERS
    for command in decider.accepts
    if command not in BEGINNINGS and "now" not in stream_fields(command)
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        an_engine.append([(Cause("test"), [OpenLocation(location="x", country="DE")])])
        yield an_engine


def test_what_is_not_listed_as_a_beginning_begins_no_stream(engine: Engine) -> None:
    with queries.reading(engine.database_url) as connection:
        asking = Asking(engine.store.state_of, connection)
        for kind in OTHERS:
            given: dict[str, Any] = {
                name: "x" if kind.model_fields.keys() >= {"sku"} else "y" for name in stream_fields(kind)
            }
            given |= {"to_location": "x", "assignments": (), "keep": False}
            with pytest.raises(Missing):
                require(
                    asking, kind.model_construct(None, **{n: v for n, v in given.items() if n in kind.model_fields})
                )


ABOUT_NOTHING: tuple[tuple[tuple[str, ...], str], ...] = (
    (("feedback", "record", "web/8", "--feedback-id", "f", "--rating", "5"), "there is no order web/8;"),
    (
        ("order", "merge-orders", "--channel", "web", "--merge-id", "m", "--order-ids", '["web/7", "web/8"]'),
        "no order web/8;",
    ),
    (("order", "hold", "web/8", "--kind", "manual"), "there is no order web/8;"),
    (
        ("payment", "refund", "p.1", "--refund-id", "r", "--amount-minor", "5", "--reason", "w"),
        "there is no payment p.1",
    ),
    (("payment", "void", "p.1"), "there is no payment p.1"),
    (("payment", "cancel", "p.1"), "there is no payment p.1"),
    (("shipment", "declare-lost", "s.1", "--choice", "refund", "--reason", "w"), "there is no parcel s.1"),
    (("return", "approve", "r-1"), "there is no return r-1"),
    (("stock", "receive", "A", "berlni", "--receipt-id", "r", "--quantity", "1"), "there is no location berlni"),
    (("stock", "count", "A", "rome", "--count-id", "c", "--quantity", "1"), "there is no location rome"),
    (
        ("stock", "adjust", "B", "berlin", "--adjustment-id", "a", "--quantity", "1", "--reason", "w"),
        "never been any B",
    ),
    (("stock", "move", *AT, "--move-id", "m", "--quantity", "1", "--to-location", "rome"), "no location rome"),
    (
        ("stock", "reserve", *AT, "--reservation-id", "r", "--order-id", "nobody", "--quantity", "1"),
        "there is no order",
    ),
    (("serials", "receive", "A", "--location", "rome", "--receipt-id", "r", "--serials", '["1"]'), "no location rome"),
    (("location", "close", "rome", "--reason", "w"), "there is no location rome"),
    (("rates", "withdraw", "nobody"), "there is no carrier with rates nobody"),
)


def test_what_is_said_in_another_way_before_names_the_order_and_not_its_stream(oms: Any) -> None:
    assert oms(*PLACE)[0] == Code.OK
    override = ("order", "override", "web/7", "--override-id", "o", "--reason", "x", "--to")
    assert oms(*override, "sourcing")[0] == Code.OK
    code, _, err = oms(*override, "completed")
    assert (code, "override_id o is known in web/7 already" in err) == (Code.REFUSED, True), err


def test_a_command_about_nothing_is_refused_and_says_what_is_not_there(oms: Any, database_url: str) -> None:
    for first in (PLACE, OPEN, ("stock", "receive", *AT, "--receipt-id", "r", "--quantity", "5")):
        assert oms(*first)[0] == Code.OK
    before = streams(database_url)
    for given, said in ABOUT_NOTHING:
        system = ("--as-system",) if given[0] == "payment" else ()
        for preview in ((), ("--preview",)):
            code, out, err = oms(*given, *system, *preview)
            assert (code, out) == (Code.NOT_FOUND, ""), (given, err)
            assert said in err
    assert streams(database_url) == before


RAISED_AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
ABOUT_AN_EXCEPTION: tuple[tuple[type[ExceptionCommand], dict[str, Any]], ...] = (
    (AssignException, {"assignee": "ann"}),
    (SnoozeException, {"until": RAISED_AT + timedelta(hours=1), "now": RAISED_AT}),
    (ResolveException, {"note": "done", "now": RAISED_AT}),
)


@pytest.mark.parametrize(("kind", "more"), ABOUT_AN_EXCEPTION)
def test_only_an_exception_that_was_raised_is_dealt_with(
    engine: Engine, kind: type[ExceptionCommand], more: dict[str, Any]
) -> None:
    engine.append([(Cause("test"), [OpenException(exception_id="noticed/dock", detail="a pallet without a label")])])
    engine.settle()
    with queries.reading(engine.database_url) as connection:
        asking = Asking(engine.store.state_of, connection)
        require(asking, kind(exception_id="noticed/dock", raised_at=RAISED_AT, **more))
        with pytest.raises(Missing, match=r"no exception noticed/dick was raised, .*; did you mean noticed/dock\?"):
            require(asking, kind(exception_id="noticed/dick", raised_at=RAISED_AT, **more))
        with pytest.raises(Missing, match="`oms-es exceptions list` names those that are open"):
            require(asking, kind(exception_id="dispute/x", raised_at=RAISED_AT, **more))


def test_what_a_person_dealt_with_may_be_said_again_and_changes_nothing(engine: Engine) -> None:
    """An exception that settled itself after it was assigned is known by its own stream."""
    assign = AssignException(exception_id="dispute/d", raised_at=RAISED_AT, assignee="ann")
    engine.append([(Cause("test"), [assign])])
    with queries.reading(engine.database_url) as connection:
        require(Asking(engine.store.state_of, connection), assign)
    assert not engine.append([(Cause("test"), [assign])])


def test_what_is_called_nearly_so_is_named(engine: Engine) -> None:
    engine.append([(Cause("test"), [OpenLocation(location="berlin", country="DE")])])
    engine.settle()
    receive = ReceiveStock(sku="A", location="berlni", receipt_id="r", quantity=1)
    with queries.reading(engine.database_url) as connection, pytest.raises(Missing, match="did you mean berlin"):
        require(Asking(engine.store.state_of, connection), receive)


def streams(database_url: str) -> set[str]:
    with queries.reading(database_url) as connection:
        return {row["originator_id"] for row in connection.execute("SELECT originator_id FROM oms_events")}


def test_a_closed_location_takes_nothing_new_and_what_is_there_goes_on(oms: Any) -> None:
    receive = ("stock", "receive", *AT, "--quantity", "5", "--receipt-id")
    for given in (OPEN, (*receive, "r"), ("location", "close", "berlin", "--reason", "moved")):
        assert oms(*given)[0] == Code.OK
    code, _, err = oms(*receive, "another")
    assert code == Code.REFUSED
    assert "location berlin is closed; open it again, or name another" in err
    assert oms("stock", "count", *AT, "--count-id", "c", "--quantity", "4")[0] == Code.OK


def test_a_channel_may_say_first_what_belongs_to_an_order_that_is_still_to_come(oms: Any) -> None:
    assert oms("order", "cancel", "web/9", "--reason", "first")[0] == Code.NOT_FOUND
    assert oms("order", "cancel", "web/9", "--reason", "first", "--keep")[0] == Code.OK
    assert all("keep" in kind.model_fields for kind in BEFORE_ITS_ORDER)


def test_only_a_document_that_is_kept_is_attached(engine: Engine) -> None:
    asked = RequestShipment(
        shipment_id="s-1",
        order_id="o-1",
        payment_id="o-1.1",
        location="x",
        items=(Reservation(reservation_id="r", sku="A", location="x", quantity=1),),
        amount_minor=5,
        ship_to=Address(country="DE"),
    )
    engine.append([(Cause("test"), [asked])])
    content = b"%PDF"
    label = AttachLabel(
        shipment_id="s-1",
        document=LabelDocument(
            sha256=sha256(content).hexdigest(), media_type="application/pdf", byte_count=len(content)
        ),
    )
    with queries.reading(engine.database_url) as connection, pytest.raises(Missing, match="no document"):
        require(Asking(engine.store.state_of, connection), label)
    letter = StoredDeadLetter(
        1, "carrier", "1", DIALECT, as_bytes(label), "x", "x", 1, datetime.now(UTC), None, None, "", ""
    )
    assert "no document" in replayed(engine, "test", letter)
    with psycopg.connect(engine.database_url) as connection:
        documents.keep(connection, content, "application/pdf")
    with queries.reading(engine.database_url) as connection:
        require(Asking(engine.store.state_of, connection), label)


def test_what_cannot_be_merged_is_refused_and_says_of_each_why(engine: Engine) -> None:
    placed = [order(name) for name in ("1", "2", "3")]
    one, two, gone = (each.order_id for each in placed)
    waiting = [
        SourceOrder(order_id=name, attempt=1, assignments=(), backordered={"A": 1}, rule_version="1")
        for name in (one, two)
    ]
    engine.append([(Cause("test"), [*placed, *waiting, CancelOrder(order_id=gone, reason="w")])])
    with queries.reading(engine.database_url) as connection:
        asking = Asking(engine.store.state_of, connection)
        require(asking, MergeOrders(channel="web", merge_id="m", order_ids=(one, two, gone)))
        for channel, ids, why in (
            ("web", (one, gone), "it is cancelled"),
            ("web", (one, one), "only one order is named"),
            ("pos", (one, two), "it is of channel web"),
        ):
            with pytest.raises(Refused, match=why) as refused:
                require(asking, MergeOrders(channel=channel, merge_id="m", order_ids=ids))
            assert refused.value.reason == "not_mergeable"


def test_a_return_s_name_that_another_order_has_is_refused(engine: Engine) -> None:
    mine, other = order("1"), order("2")
    opened = OpenRma(
        rma_id="r1",
        order_id=mine.order_id,
        channel="web",
        resolution="refund",
        lines=(),
        requested_at=mine.placed_at,
    )
    engine.append([(Cause("test"), [mine, other, opened])])
    asked = ReturnLine(line_id="1", quantity=1, reason="other")
    with queries.reading(engine.database_url) as connection:
        asking = Asking(engine.store.state_of, connection)
        with pytest.raises(Refused, match="is a return of order") as refused:
            require(asking, RequestReturn(order_id=other.order_id, rma_id="r1", now=mine.placed_at, lines=(asked,)))
        assert refused.value.reason == "id_reused"
        require(asking, RequestReturn(order_id=mine.order_id, rma_id="r1", now=mine.placed_at, lines=(asked,)))


def order(name: str) -> PlaceOrder:
    line = OrderLine(line_id="1", sku="A", quantity=1, unit_price_minor=300)
    return PlaceOrder(
        channel="web",
        external_id=name,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="EUR",
        lines=(line,),
        ship_to=Address(country="DE"),
    )


def test_of_a_name_without_an_order_it_is_said_what_is_there(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", engine.database_url)
    merge = MergeOrders(channel="web", merge_id="m", order_ids=("x", "y"))
    early = CancelOrder(order_id=order_id_of("web", "early"), reason="w", keep=True, called="web/early")
    engine.append([(Cause("test"), [order("new"), merge, early])])
    for name, why in (
        ("web/new", "no engine has worked on it yet"),
        ("web/merge/m", "is being made of others"),
        ("web/early", "has not come"),
    ):
        assert cli.main(["order", "show", name]) == Code.NOT_FOUND
        assert why in capsys.readouterr().err
    answers = [RecordMergeAnswer(order_id=merge.order_id, source_id=source) for source in ("x", "y")]
    engine.append([(Cause("test"), answers)])
    assert cli.main(["order", "show", "web/merge/m"]) == Code.NOT_FOUND
    assert "fewer than two" in capsys.readouterr().err
