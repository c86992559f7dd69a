"""The sums that `verify` requires of the documents of a payment, in sequence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from oms_es.kernel import Recorded
from oms_es.processing.bulk.overflow import Overflow
from oms_es.verification.invoice_checks import InvoiceChecks
from own_invoices import issued, line

BILL: dict[str, Any] = {"movement": "capture/1", "lines": (line(1000, 190),)}
NOTE: dict[str, Any] = {"movement": "refund/2", "kind": "credit_note", "lines": (line(1000, 190),)}
CANCELLED: dict[str, Any] = {**BILL, "movement": "cancellation/3", "kind": "credit_note", "corrects": "A-2026-000001"}
AGAIN: dict[str, Any] = {"movement": "replacement/3", "about": "capture/1", "lines": (line(1190),)}


def failures(*documents: dict[str, Any], back: int = 1190) -> int:
    """Return how many checks of sums fail if 11.90 was captured, and as much refunded as given."""
    checks = InvoiceChecks(Overflow())
    checks.moved["capture/1"], checks.moved["refund/2"] = (1190, "EUR"), (-back, "EUR")
    for number, said in enumerate(documents, 1):
        event = issued(number, **{"about": said["movement"], **said})
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        checks.note(Recorded(number, "invoice-ACME/2026", number, event, UUID(int=number), moment, None, "", ""), {})
    checks.close(lambda *_: False)
    return checks.summed.failed


def test_what_was_taken_may_be_given_back() -> None:
    assert failures(BILL, NOTE) == 0


def test_a_correction_may_split_it_otherwise() -> None:
    assert failures(BILL, NOTE, CANCELLED, AGAIN) == 0


@pytest.mark.parametrize("lines", [(line(1000, 191),), (line(999, 191),)])
def test_without_a_correction_neither_net_nor_tax_falls_below_nothing(lines: Any) -> None:
    assert failures(BILL, {**NOTE, "lines": lines}, back=sum(one.total_minor for one in lines)) == 1


def test_what_is_cancelled_is_issued_again_also_after_a_correction() -> None:
    assert failures(BILL, NOTE, CANCELLED) == 1


def test_after_a_correction_no_more_is_credited_than_was_invoiced() -> None:
    more = {**NOTE, "lines": (line(1000, 191),)}
    assert failures(BILL, CANCELLED, AGAIN, more, back=1191) > 0
