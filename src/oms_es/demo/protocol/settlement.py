"""Reconciliation of the providers' bills: imported, matched, and their breaks compared with planted mistakes.

Invariant: an account agrees only if its breaks are the mistakes that were planted, each by its kind and amount.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import NamedTuple

from oms_es.app.engine import Engine
from oms_es.app.finance.reconciling import Asked, File, import_statements, run
from oms_es.demo.protocol.providers import MCHID, SELLER_ID, Providers
from oms_es.demo.protocol.shop import ALIPAY, CARD, WECHATPAY
from oms_es.gateways.loopback import bills
from oms_es.gateways.loopback.bills import Entry, Terms
from oms_es.matching.sides import Rules
from oms_es.reports import queries
from oms_es.reports.finance import reconciliation

ACTOR = "demo"
STRANGER_MINOR, CHANGED_MINOR, FEE_MINOR = 98_765_432, 7_654_321, 17
"""Amounts of planted mistakes, which no order here has."""
PAYMENTS_MIN = 3
"""Payments that a bill needs so that mistakes are planted in it."""
Break = tuple[str, int]
"""The kind and the amount of a break."""


class Account(NamedTuple):
    """The account of one provider. `planted` and `found`: breaks, sorted."""

    account: str
    lines: int
    movements: int
    matched: int
    planted: Sequence[Break]
    found: Sequence[Break]

    @property
    def agrees(self) -> bool:
        return list(self.planted) == list(self.found)


class _Bill(NamedTuple):
    account: str
    format: str
    method: str
    terms: Terms
    entries: Callable[[Terms], list[Entry]]
    write: Callable[[Sequence[Entry]], bytes]


def settled(engine: Engine, providers: Providers, seed: int) -> list[Account]:
    return [_settled(engine, bill, seed) for bill in _bills(providers)]


def _bills(of: Providers) -> tuple[_Bill, ...]:
    return (
        _Bill(
            *("stripe", "stripe", CARD, Terms(290, 30)),
            lambda terms: bills.stripe_entries(of.stripe.books, terms),
            bills.stripe_report,
        ),
        _Bill(
            *("wechatpay", "wechat-trade", WECHATPAY, Terms(60)),
            lambda terms: bills.wechatpay_entries(of.wechatpay.books, terms),
            lambda entries: bills.wechatpay_bill(entries, MCHID),
        ),
        _Bill(
            *("alipay", "alipay", ALIPAY, Terms(60)),
            lambda terms: bills.alipay_entries(of.alipay.books, terms),
            lambda entries: bills.alipay_bill(entries, SELLER_ID),
        ),
    )


def _settled(engine: Engine, bill: _Bill, seed: int) -> Account:
    entries, planted = with_mistakes(bill.entries(bill.terms), Random(f"{seed}/{bill.account}"))
    if not entries:
        return Account(bill.account, 0, 0, 0, (), ())
    import_statements(engine, ACTOR, File(bill.write(entries), bill.format, bill.account))
    engine.settle()
    rules = Rules(fee_basis_points=bill.terms.basis_points, fee_fixed_minor=bill.terms.fixed_minor)
    ran = run(engine, ACTOR, Asked(bill.account, methods=(bill.method,), rules=rules))
    engine.settle()
    with queries.reading(engine.database_url) as connection:
        rows = reconciliation.breaks(connection, bill.account, "open", None, reconciliation.PAGE_MAX)
    found = sorted((str(row["kind"]), int(row["amount_minor"])) for row in rows)
    return Account(bill.account, ran.lines, ran.movements, ran.matched, planted, found)


def with_mistakes(entries: Sequence[Entry], random: Random) -> tuple[list[Entry], Sequence[Break]]:
    """Return the entries with one mistake of each kind, and the breaks that these are: an extra payment, a missing one,
    another amount, another fee.

    With too few payments, only the extra one is planted.
    """
    if not entries:
        return [], ()
    first = min(one.at for one in entries) - timedelta(days=1)
    stranger = entries[0]._replace(
        at=first, gross_minor=STRANGER_MINOR, own="stranger-1", order="stranger-1", refund="", asked_as="", fee_minor=0
    )
    planted = [("missing_here", STRANGER_MINOR)]
    alone = Counter(one.own for one in entries)
    whole = [one for one in entries if not one.refund and alone[one.own] == 1]
    if len(whole) < PAYMENTS_MIN:
        return [stranger, *entries], planted
    left_out, changed, dear = random.sample(whole, PAYMENTS_MIN)
    replaced = {
        changed: changed._replace(gross_minor=changed.gross_minor + CHANGED_MINOR),
        dear: dear._replace(fee_minor=dear.fee_minor + FEE_MINOR),
    }
    rest = [replaced.get(one, one) for one in entries if one != left_out]
    planted += [("amount", CHANGED_MINOR), ("fee", FEE_MINOR), ("timing", left_out.gross_minor)]
    return [stranger, *rest], sorted(planted)
