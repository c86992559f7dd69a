"""The verifier must be able to fail: every kind of tampering is found and named."""

from __future__ import annotations

import psycopg
import pytest

from oms_es.app import DECIDERS, PROJECTIONS, engine_on
from oms_es.demo.workload import Workload
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.check import DIFFERENCES_MAX
from oms_es.verification.verify import Report, verify

ORDERS = 40


@pytest.fixture
def url(database_url: str) -> str:
    with engine_on(database_url) as engine:
        for batch in Workload(5, ORDERS).steps(500):
            engine.submit("test", batch)
        engine.settle()
    return database_url


def report(url: str) -> Report:
    return verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))


def tamper(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        assert connection.execute(statement.encode()).rowcount == 1


def failed(url: str) -> dict[str, list[str]]:
    found = report(url)
    assert found.passed is not any(check.failed for check in found.checks)
    return {check.name.partition(":")[0]: check.differences for check in found.checks if check.failed}


def event(topic: str, change: str, *, nth: int = 0) -> str:
    """Return the SQL statement that changes one stored event of this type."""
    return (
        f"UPDATE oms_events SET state = convert_to({change}, 'UTF8') WHERE notification_id = "
        f"(SELECT notification_id FROM oms_events WHERE topic = '{topic}' ORDER BY 1 OFFSET {nth} LIMIT 1)"
    )


def changed(path: str, value: str) -> str:
    return f"jsonb_set(convert_from(state, 'UTF8')::jsonb, '{{{path}}}', '{value}')::text"


def test_an_untouched_history_passes_and_every_question_was_asked(url: str) -> None:
    found = report(url)
    assert found.passed
    assert found.position > ORDERS
    unasked = {check.name for check in found.checks if not check.checked}
    assert unasked <= {
        "transfers conserved: what arrived or was lost had left another place",
        "what was encrypted later is otherwise what was sealed",
        "every file of archived events is there, and is what was written",
    } | {
        f"{name}: every row is the fold of history"
        for name in (
            "connections",
            "exception_history",
            "subscriptions",
            "provider_reports",
            "return_policies",
            "order_locations",
            "order_numbers",
            "order_notes",
            "returns",
            "return_lines",
            "refunds",
            "feedback",
            "feedback_scores",
            *("statements", "statement_lines", "reconciliation_matches", "reconciliation_breaks"),
            "reconciled_accounts",
            *("accounts", "account_entries", "account_orders", "document_attachments", "document_fields"),
            *("sellers", "invoices", "forgotten_orders", "forgotten_accounts", "legal_holds", "report_files"),
            *("deadlines", "backorder_queue", "open_exceptions", "items", "deposits"),
            *("sourcing_rules", "gateway_routes"),
            *("inbounds", "replenishments", "serial_numbers", "carrier_rates", "delivery_options", "tracking_reports"),
        )
    } | {
        "every key that is missing is of an order or an account that was forgotten",
        "no order and no account that was forgotten still has its key",
        "every snapshot is the fold of its stream",
        "every document that history names is stored, and its content has its hash",
        "refunds conserved: parts sum to the refund, and none exceeds what was paid for its line",
        "exchanges: each was granted, and its credit is used or refunded to the payments it came from",
        "accounts: paid in - spent = balance; 0 <= held <= balance, at every position",
        *(
            f"invoices: {question}"
            for question in (
                "numbers of a seller's year have no gap, none is given twice, their days rise",
                "net + tax = total = what moved; none credits more than was invoiced",
                "each movement of money of a seller has one document, which is kept",
            )
        ),
        "accounts: each payment from or to an account is booked in it, once",
        "gift cards: each pays only for orders that its code was given for, while it is valid",
        "units conserved: what is split off or merged is in the order that it went to",
        "returns conserved: credited <= accepted <= received <= requested <= shipped, by line",
    }


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        (
            "UPDATE stock_levels SET on_hand = -1 WHERE ctid = (SELECT ctid FROM stock_levels LIMIT 1)",
            "stock_levels",
        ),
        ("DELETE FROM order_status WHERE order_id = (SELECT order_id FROM order_status LIMIT 1)", "order_status"),
        (
            "INSERT INTO locations VALUES ('ghost', 'store', 'DE', '', NULL, NULL, 0, 0, '{}', '{}', NULL, true)",
            "locations",
        ),
        (
            "UPDATE daily_sales SET gross_minor = 0 WHERE ctid = (SELECT ctid FROM daily_sales LIMIT 1)",
            "daily_sales",
        ),
        (
            "UPDATE order_timeline SET summary = 'x' WHERE position = (SELECT max(position) FROM order_timeline)",
            "order_timeline",
        ),
        (
            "DELETE FROM order_timeline WHERE position = (SELECT min(position) FROM order_timeline)",
            "order_timeline",
        ),
        (
            (
                "UPDATE order_timeline SET position = (SELECT max(position) + 9 FROM order_timeline) "
                "WHERE position = (SELECT max(position) FROM order_timeline)"
            ),
            "order_timeline",
        ),
    ],
)
def test_a_row_that_was_tampered_with_is_named(url: str, statement: str, check: str) -> None:
    tamper(url, statement)
    assert list(failed(url)) == [check]


def test_a_reservation_made_larger_than_the_stock_is_an_oversell(url: str) -> None:
    tamper(url, event("StockReserved", changed("event,quantity", "1000000")))
    found = failed(url)
    assert "never oversold, at any position" in found
    assert "1000000 promised of" in found["never oversold, at any position"][0]
    assert len(found["never oversold, at any position"]) <= DIFFERENCES_MAX


def test_a_price_changed_in_history_breaks_the_fingerprint(url: str) -> None:
    tamper(url, event("OrderPlaced", changed("event,shipping_minor", "1")))
    assert "every accepted order is placed exactly once, with its content" in failed(url)


def test_a_capture_above_what_was_authorised_is_found(url: str) -> None:
    tamper(url, event("PaymentCaptured", changed("event,amount_minor", "99999999")))
    assert "money conserved" in failed(url)


def test_a_parcel_that_left_with_more_than_was_asked_for_is_found(url: str) -> None:
    tamper(url, event("ShipmentDispatched", changed("event,items,0,quantity", "1000000")))
    assert "parcels conserved" in failed(url)


def test_an_event_that_vanished_leaves_a_gap(url: str) -> None:
    tamper(
        url,
        "DELETE FROM oms_events WHERE notification_id = "
        "(SELECT notification_id FROM oms_events WHERE topic = 'OrderSourced' ORDER BY 1 LIMIT 1)",
    )
    assert "no stream has a gap, and positions only rise" in failed(url)


def test_a_cause_that_was_rewritten_is_found(url: str) -> None:
    cause = changed("caused_by", '"00000000-0000-0000-0000-000000000000"')
    tamper(url, event("StockReserved", cause))
    assert "every event can be read, and its cause is in the log" in failed(url)


def test_an_event_that_cannot_be_read_any_more_is_a_finding_and_not_a_crash(url: str) -> None:
    tamper(url, event("StockShipped", "'{'"))
    assert "every event can be read, and its cause is in the log" in failed(url)
