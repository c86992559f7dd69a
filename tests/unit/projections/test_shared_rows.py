"""On several workers a row is safe if one stream feeds it, or if its folds commute."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from oms_es.app import PROJECTIONS, Engine, engine_on
from oms_es.demo.workload import Workload
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kernel import Command, Key, Projection, Recorded, Row
from oms_es.processing.read_models.folding import fold
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import item as i
from oms_es.schemas.catalog import rates as ra
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.catalog.numbering import AssignOrderNumber, SetOrderNumbering
from oms_es.schemas.catalog.routes import PublishGatewayRoutes
from oms_es.schemas.catalog.rules import PublishSourcingRules
from oms_es.schemas.finance.account import CreditAccount, OpenAccount
from oms_es.schemas.finance.account_privacy import ForgetAccount, LiftAccountLegalHold, PlaceAccountLegalHold
from oms_es.schemas.finance.invoicing import IssueInvoice, SetSeller
from oms_es.schemas.finance.reconciliation import Break, CloseReconciliation, Match, RecordReconciliation
from oms_es.schemas.finance.statement import RecordStatement, StatementLine
from oms_es.schemas.finance.statement_privacy import ForgetStatement, PlaceStatementLegalHold
from oms_es.schemas.operations.connection import OpenConnection
from oms_es.schemas.operations.document import AttachDocument, RecordDocumentFields
from oms_es.schemas.operations.exception import AssignException
from oms_es.schemas.operations.report import RecordReportFiles, ReportFile
from oms_es.schemas.operations.subscription import OpenSubscription
from oms_es.schemas.order import (
    AddNote,
    Address,
    ForgetOrder,
    LiftLegalHold,
    OrderLine,
    PlaceLegalHold,
    PlaceOrder,
    Tender,
)
from oms_es.schemas.payment import Report
from oms_es.schemas.payment.provider import RecordProviderReport
from oms_es.schemas.returns.feedback import RecordFeedback
from oms_es.schemas.returns.policy import SetReturnPolicy
from oms_es.schemas.returns.rma import ExpectedLine, OpenRma, Terms
from oms_es.schemas.shipment.tracker import RecordTracking, Sighting
from oms_es.schemas.values.parts import without_personal
from own_invoices import content

CHAOS = Chaos(seed=5, decline=0.1, timeout=0.1, duplicate=0.1, late=0.1)
TEA: Any = {"sku": "TEA", "location": "leipzig"}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
PARCEL = ra.Service(
    service="parcel", zones=(ra.Zone(transit_days=2, bands=(ra.Band(weight_grams_max=1_000, price_minor=490),)),)
)
SECRET_ID = f"sec_{'0' * 24}"
SIGHTINGS = tuple(
    Sighting(milestone_id=status, status=status, occurred_at=LONG_AGO) for status in ("picked_up", "in_transit")
)
BESIDES: tuple[Command, ...] = (
    i.DescribeItem(sku="TEA", weight_grams=250),
    i.DefineBundle(sku="TEA", components={}),
    *(PublishGatewayRoutes(version=version) for version in "23"),
    PublishSourcingRules(version="2"),
    PublishSourcingRules(version="3"),
    SetReturnPolicy(channel="*", terms=Terms(window_days=14)),
    *(RecordFeedback(order_id=order, feedback_id="1", rating=rating) for order, rating in (("o1", 4), ("o2", 2))),
    OpenRma(
        rma_id="r",
        order_id="o1",
        channel="web",
        resolution="refund",
        lines=(ExpectedLine(line_id="1", sku="TEA", quantity=1, reason="other"),),
        requested_at=LONG_AGO,
    ),
    s.SetReorderPoint(**TEA, quantity=5, up_to=20),
    s.ExpectInbound(**TEA, inbound_id="po-1", quantity=3, promised_at=LONG_AGO),
    SetOrderNumbering(channel="web"),
    AssignOrderNumber(channel="web", order_id="o1"),
    se.ReceiveSerials(**TEA, receipt_id="numbered", serials=("1", "2")),
    *(ra.PublishRates(carrier="dhl", version=version, currency="EUR", services=(PARCEL,)) for version in "12"),
    *(ra.DefineDeliveryOption(option=option, transit_days_max=2) for option in ("standard", "express")),
    *(RecordTracking(carrier="dhl", tracking_number=number, sightings=SIGHTINGS) for number in "12"),
    *(OpenConnection(name=name, dialect="woocommerce", channel="web", secret_id=SECRET_ID) for name in ("a", "b")),
    *(
        OpenSubscription(name=name, url="https://shop.example/", types=("OrderPlaced",), secret_id=SECRET_ID)
        for name in ("a", "b")
    ),
    *(
        RecordStatement(
            account="bank",
            statement_id=statement_id,
            format="mt940",
            currency="EUR",
            opened_on="2026-01-01",
            closed_on="2026-01-02",
            document_sha256="0" * 64,
            lines=(StatementLine(kind="transfer", booked_on="2026-01-01", amount_minor=1),) * 2,
        )
        for statement_id in ("1", "2")
    ),
    *(
        RecordReconciliation(
            account=account,
            matches=(Match(match_id="m", lines=("1/1",), reason="x", confidence=1, day="2026-01-01", amount_minor=1),),
            breaks=(
                Break(
                    break_id="b",
                    kind="missing_here",
                    day="2026-01-01",
                    amount_minor=1,
                    currency="EUR",
                    lines=("1/2",),
                    detail="x",
                ),
            ),
        )
        for account in ("bank", "stripe")
    ),
    *(CloseReconciliation(account=account, through="2020-01-31") for account in ("bank", "stripe")),
    *(
        RecordDocumentFields(
            sha256=digit * 64,
            format="ubl",
            kind="invoice",
            invoice_number="1",
            issued_on="2026-01-01",
            currency="EUR",
            net_minor=1,
            tax_minor=0,
            total_minor=1,
        )
        for digit in "01"
    ),
    *(AttachDocument(sha256=digit * 64, entity="order", entity_id="o1") for digit in "01"),
    SetSeller(seller="ACME", name="Acme", country="DE", vat_id="DE1234", channels=("nowhere",)),
    *(
        IssueInvoice(seller="ACME", year=year, keep_until="2036-12-31", content=content(f"capture/{year}"))
        for year in (2025, 2026)
    ),
    OpenAccount(account_id="ADA-1", kind="deposit", channel="web", currency="EUR"),
    CreditAccount(account_id="ADA-1", entry_id="in-1", amount_minor=1),
    *(
        OpenAccount(account_id=account_id, kind="deposit", channel="web", currency="EUR", customer_id="C-1")
        for account_id in ("C-1.1", "C-1.2")
    ),
    PlaceOrder(
        channel="web",
        external_id="by-account",
        placed_at=LONG_AGO,
        currency="EUR",
        lines=(OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=1),),
        tenders=(Tender(method="account", payment_token="ADA-1", amount_minor=1),),
        ship_to=Address(country="DE"),
    ),
    AssignException(exception_id="silent/o1", raised_at=LONG_AGO, order_id="o1", assignee="ada"),
    *(
        RecordReportFiles(
            name=name,
            every="day",
            first_day="2026-01-05",
            title="Sales",
            last_day="2026-01-05",
            timezone="UTC",
            made_at=LONG_AGO,
            files=(ReportFile(format="csv", sha256="0" * 64, byte_count=1),),
        )
        for name in ("sales", "orders")
    ),
    RecordProviderReport(
        provider="stripe",
        references=("ch_1", "pi_1"),
        report=Report(operation="refund", outcome="succeeded", part="re_1", reference="re_1", amount_minor=1),
    ),
)
"""What those days do not bring by themselves."""


def ends_of_people(engine: Engine) -> list[Command]:
    """Two orders that have ended are held, and then forgotten."""
    with engine.rows.one() as connection:
        query = "SELECT order_id FROM order_status WHERE phase = 'cancelled' ORDER BY order_id LIMIT 2"
        orders = [row["order_id"] for row in connection.execute(query)]
    held = [PlaceLegalHold(order_id=one, case_id="c", reason="other") for one in orders]
    return [
        *held,
        *(LiftLegalHold(order_id=one, case_id="c") for one in orders),
        *(ForgetOrder(order_id=one, reason="request") for one in orders),
        PlaceAccountLegalHold(account_id="C-1.1", case_id="c", reason="other"),
        LiftAccountLegalHold(account_id="C-1.1", case_id="c"),
        PlaceStatementLegalHold(account="bank", statement_id="1", case_id="c", reason="other"),
        ForgetStatement(account="bank", statement_id="2", reason="retention"),
        *(ForgetAccount(account_id=account_id, reason="request") for account_id in ("C-1.1", "C-1.2")),
    ]


@pytest.fixture(scope="module")
def history(request: pytest.FixtureRequest) -> Iterator[list[Recorded]]:
    """Return the history of a few eventful days."""
    from conftest import fresh_database

    with fresh_database(request.getfixturevalue("embedded_server")) as url, engine_on(url, chaos=CHAOS) as engine:
        orders: list[str] = []
        for batch in Workload(3, 150).steps(50):
            engine.submit("test", batch)
            engine.loop.iterate()
            orders += [command.order_id for command in batch if isinstance(command, PlaceOrder)]
        noted = AddNote(order_id=orders[0], note_id="n", note_text="they called")
        engine.submit("test", [*BESIDES, noted])
        engine.settle()
        engine.submit("test", ends_of_people(engine))
        engine.settle()
        found: list[Recorded] = []
        while some := engine.log._select(found[-1].position if found else 0, 2_000):
            found += some
        yield found


def shuffled(history: list[Recorded], chance: random.Random) -> list[Recorded]:
    """Return the events in another order that keeps each stream's own."""
    streams: dict[str, list[Recorded]] = defaultdict(list)
    for recorded in history:
        streams[recorded.stream].append(recorded)
    turns = [recorded.stream for recorded in history]
    chance.shuffle(turns)
    rest = {stream: iter(events) for stream, events in streams.items()}
    return [next(rest[stream]) for stream in turns]


def rows(projection: Projection, history: list[Recorded]) -> dict[Key, Row]:
    folded: dict[Key, Row | None] = {}
    fold(projection, folded, history)
    return {key: row for key, row in folded.items() if row is not None}


def says_of_people(projection: Projection) -> bool:
    return any(column.info.get("personal") for column in projection.table.columns)


@pytest.mark.parametrize("projection", [p for p in PROJECTIONS if not p.shared], ids=lambda p: p.name)
def test_a_row_that_is_not_shared_is_fed_by_one_stream(projection: Projection, history: list[Recorded]) -> None:
    feeding: dict[Key, set[str]] = defaultdict(set)
    for recorded in history:
        if a_fold := projection.folds.get(type(recorded.event)):
            for key in a_fold.keys(recorded):
                feeding[key].add(recorded.stream)
    assert feeding
    assert {key: streams for key, streams in feeding.items() if len(streams) > 1} == {}


@pytest.mark.parametrize("projection", [p for p in PROJECTIONS if p.fed_by], ids=lambda p: p.name)
def test_the_key_of_a_row_says_which_stream_feeds_it(projection: Projection, history: list[Recorded]) -> None:
    for recorded in history:
        if a_fold := projection.folds.get(type(recorded.event)):
            assert all(recorded.stream in projection.streams_of(key) for key in a_fold.keys(recorded))


def test_of_most_read_models_the_key_says_it() -> None:
    unsaid = {p.name for p in PROJECTIONS if not p.fed_by and "position" not in p.key_columns}
    assert unsaid == {p.name for p in PROJECTIONS if p.shared} | {
        *("order_numbers", "parcel_lines", "deadlines", "open_exceptions"),
    }


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("seed", range(5))
def test_the_streams_may_come_in_any_order(projection: Projection, seed: int, history: list[Recorded]) -> None:
    assert rows(projection, shuffled(history, random.Random(seed))) == rows(projection, history)


def test_the_history_has_what_makes_this_hard(history: list[Recorded]) -> None:
    assert history[0].recorded_at < datetime.now(UTC)
    assert {"OrderBackordered", "OrderCancelled", "PaymentDeclined", "StockReleased"} <= {
        type(recorded.event).__name__ for recorded in history
    }


@pytest.mark.parametrize("projection", [p for p in PROJECTIONS if not says_of_people(p)], ids=lambda p: p.name)
def test_a_row_that_says_nothing_of_people_is_the_same_without_them(
    projection: Projection, history: list[Recorded]
) -> None:
    """Where a person is forgotten, only rows of read models whose columns are marked are folded again."""
    forgotten = [recorded._replace(event=without_personal(recorded.event)) for recorded in history]
    assert forgotten != history
    assert rows(projection, forgotten) == rows(projection, history)
