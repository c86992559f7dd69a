"""The laws of accounts, statements and their reconciliation, under commands in any order.

After every step: the invariants hold, the same command again decides nothing, and what was refused is refused again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from oms_es.aggregates.finance import account, account_state, invoice, reconciliation, seller, statement
from oms_es.kernel import Event, Refused
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import account_privacy as p
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.finance import reconciliation as rec
from oms_es.schemas.finance import statement as f
from oms_es.schemas.finance import statement_privacy as ps
from oms_es.schemas.values.parts import without_personal
from own_invoices import content
from reordering import assert_in_any_order

Strategy = st.SearchStrategy[Any]
STEPS_MAX = 20


def happened(history: Sequence[Event], *types: type[Event]) -> int:
    return sum(isinstance(event, types) for event in history)


# --- statements of accounts


def statement_commands() -> Strategy:
    lines = st.builds(
        f.StatementLine,
        kind=st.just("transfer"),
        booked_on=st.just("2026-01-01"),
        amount_minor=st.sampled_from([1, -1]),
        pending=st.booleans(),
    )
    of: Any = {"account": st.just("bank"), "statement_id": st.just("1")}
    cases = st.sampled_from(["c-1", "c-2"])
    of_people = (
        st.builds(ps.ForgetStatement, **of, reason=st.just("retention")),
        st.builds(ps.PlaceStatementLegalHold, **of, case_id=cases, reason=st.just("dispute")),
        st.builds(ps.LiftStatementLegalHold, **of, case_id=cases),
    )
    return st.one_of(*of_people) | st.builds(
        f.RecordStatement,
        **of,
        format=st.sampled_from(["mt940", "camt.053"]),
        currency=st.just("EUR"),
        opened_on=st.just("2026-01-01"),
        closed_on=st.just("2026-01-02"),
        opening_minor=st.none() | st.just(0),
        closing_minor=st.none() | st.sampled_from([0, 1]),
        document_sha256=st.sampled_from(["0" * 64, "1" * 64]),
        lines=st.lists(lines, max_size=3).map(tuple),
    )


def statement_holds(state: statement.Statement, history: Sequence[Event]) -> None:
    assert happened(history, f.StatementRecorded) == bool(state.fingerprint) <= 1
    assert happened(history, ps.StatementForgotten) == state.forgotten
    assert not (state.forgotten and any(state.legal_holds.values())), "a case needs what was forgotten"
    for recorded in history:
        if isinstance(recorded, f.StatementRecorded):
            of_it = [line for event in history if isinstance(event, f.StatementLinesRecorded) for line in event.lines]
            assert recorded.line_count == len(of_it)
            assert recorded.booked_minor == sum(line.amount_minor for line in of_it if not line.pending)
            if recorded.opening_minor is not None and recorded.closing_minor is not None:
                assert recorded.opening_minor + recorded.booked_minor == recorded.closing_minor


# --- reconciliation


def reconciliation_commands() -> Strategy:
    days = st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03"])
    matches = st.builds(
        rec.Match,
        match_id=st.sampled_from(["m1", "m2", "m3"]),
        lines=st.sampled_from([("1/1",), ("1/2",), ("1/1", "1/2")]),
        movements=st.sampled_from([("capture/1",), ("capture/2",), ()]),
        reason=st.just("x"),
        confidence=st.just(1),
        day=days,
        amount_minor=st.just(1),
    )
    breaks = st.builds(
        rec.Break,
        break_id=st.sampled_from(["b1", "b2"]),
        kind=st.sampled_from(["missing_here", "timing"]),
        day=days,
        amount_minor=st.just(1),
        currency=st.just("EUR"),
        lines=st.just(("1/1",)),
        detail=st.just("x"),
    )
    of: Any = {"account": st.just("bank")}
    break_ids, notes = st.sampled_from(["b1", "b2"]), st.sampled_from(["", "x"])
    return st.one_of(
        st.builds(
            rec.RecordReconciliation,
            **of,
            matches=st.lists(matches, max_size=2).map(tuple),
            breaks=st.lists(breaks, max_size=2).map(tuple),
            is_complete=st.booleans(),
        ),
        st.builds(
            rec.ResolveReconciliation,
            **of,
            difference=break_ids,
            resolution=st.sampled_from(["written_off", "accepted"]),
            note=notes,
        ),
        st.builds(rec.ReopenReconciliation, **of, difference=break_ids, note=notes),
        st.builds(
            rec.MatchReconciliation,
            **of,
            differences=st.lists(break_ids, min_size=1, max_size=3).map(tuple),
            note=notes,
        ),
        st.builds(rec.UndoReconciliation, **of, match=st.sampled_from(["m1", "m2", "m3"]), note=notes),
        st.builds(rec.CloseReconciliation, **of, through=days),
        st.builds(
            rec.SetFeeTerms,
            **of,
            since=days,
            terms=st.builds(rec.FeeTerm, basis_points=st.sampled_from([0, 140])).map(lambda one: (one,)),
        ),
    )


def reconciliation_holds(state: reconciliation.Reconciliation, history: Sequence[Event]) -> None:
    in_matches = [name for match in state.matches.values() for name in reconciliation.sides(match)]
    assert sorted(in_matches) == sorted(state.taken), "a line or movement is in two matches, or in none"
    assert not any(match_id in state.undone for match_id in state.matches)
    closed = [event.through for event in history if isinstance(event, rec.ReconciliationPeriodClosed)]
    assert closed == sorted(closed)
    assert state.closed_through == max(closed, default="")


# --- accounts of customers


def account_commands() -> Strategy:
    of: Any = {"account_id": st.just("A-1")}
    amounts, entry_ids, hold_ids = (
        st.integers(1, 12),
        st.sampled_from(["1", "2", "h"]),
        st.sampled_from(["h", "i", "p"]),
    )
    asked = {
        **of,
        "payment_id": st.sampled_from(["p", "q"]),
        "order_id": st.just("o"),
        "amount_minor": amounts,
        "currency": st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
    }
    parts = {**asked, "part": st.sampled_from(["1", "2"])}
    customers = st.sampled_from(["", "C-1"])
    by_hand = {**of, "entry_id": entry_ids, "amount_minor": amounts}
    cases = st.sampled_from(["c-1", "c-2"])
    return st.one_of(
        st.builds(
            a.OpenAccount,
            **of,
            kind=st.sampled_from(["deposit", "store_credit"]),
            channel=st.just("shop"),
            currency=st.just("EUR"),
            customer_id=customers,
        ),
        st.builds(
            a.LimitAccount,
            **of,
            top_up_below_minor=st.integers(0, 9),
            balance_max_minor=st.none() | st.integers(1, 40),
        ),
        st.builds(a.CreditAccount, **by_hand),
        st.builds(a.DebitAccount, **by_hand),
        st.builds(a.HoldAccount, **of, hold_id=hold_ids, amount_minor=amounts),
        st.builds(a.ApplyAccountHold, **by_hand, hold_id=hold_ids),
        st.builds(a.ReleaseAccountHold, **of, hold_id=hold_ids),
        st.builds(a.HoldForPayment, **asked, channel=st.sampled_from(["shop", "shop", "web"]), customer_id=customers),
        st.builds(a.ApplyForPayment, **parts),
        st.builds(a.ReleaseForPayment, **parts),
        st.builds(a.CreditFromPayment, **parts),
        st.builds(p.ForgetAccount, **of, reason=st.just("request")),
        st.builds(p.PlaceAccountLegalHold, **of, case_id=cases, reason=st.just("dispute")),
        st.builds(p.LiftAccountLegalHold, **of, case_id=cases),
        st.builds(
            g.IssueGiftCard,
            **of,
            channel=st.just("shop"),
            currency=st.just("EUR"),
            expires_at=st.none() | MOMENTS,
            on_expiry=st.sampled_from(["stays", "income"]),
        ),
        st.builds(g.SetGiftCardCode, **of, code_hash=HASHES, replace=st.booleans()),
        st.builds(g.PresentGiftCard, **of, code_hash=HASHES, order_id=st.just("o"), now=MOMENTS),
        st.builds(g.ExpireGiftCard, **of, now=MOMENTS),
        st.builds(g.ExtendGiftCard, **of, expires_at=st.none() | MOMENTS),
        st.builds(g.BlockAccount, **of),
        st.builds(g.UnblockAccount, **of),
    )


MOMENTS = st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)])
HASHES = st.sampled_from(["a" * 64, "b" * 64])


def account_holds(state: account_state.Account, history: Sequence[Event]) -> None:
    entries = [event for event in history if isinstance(event, a.AccountEntry)]
    assert [one.number for one in entries] == list(range(1, len(entries) + 1))

    def total(*types: type[Event]) -> int:
        return sum(one.amount_minor for one in entries if isinstance(one, types))

    balance = total(a.AccountCredited) - total(a.AccountDebited, a.AccountHoldApplied, g.GiftCardForfeited)
    held = total(a.AccountHeld) - total(a.AccountHoldApplied, a.AccountHoldReleased)
    assert 0 <= held <= balance, "more was granted than was paid in"
    assert (balance, held) == (state.balance, state.held)
    assert held == sum(hold.left for hold in state.holds.values())
    assert state.low == (state.opened is not None and state.available < state.top_up_below)
    of_payments = [one for one in entries if isinstance(one, a.AccountPaymentEntry) and one.payment_id]
    asked = [(type(one), one.payment_id, one.part) for one in of_payments]
    assert len(set(asked)) == len(asked), "a payment was answered twice"
    forgotten_account_holds(state, history)
    card_is_kept(history)
    assert account_state.restore(from_json(to_json(account_state.dump(state)))) == state


def forgotten_account_holds(state: account_state.Account, history: Sequence[Event]) -> None:
    """Assert that a forgotten account is empty and stays so, and that its state is what placeholders come to."""
    if state.forgotten:
        begun = next(n for n, event in enumerate(history) if isinstance(event, p.AccountForgotten))
        assert (state.balance, state.held, any(state.legal_holds.values())) == (0, 0, False)
        assert {type(event) for event in history[begun + 1 :]} <= {a.AccountPaymentRefused}
        assert "C-1" not in repr(state)
    if state.opened:
        forgotten = p.AccountForgotten(account_id="A-1", reason="request")
        of_placeholders = reduce(account.decider.evolve, map(without_personal, history), account_state.Account())
        assert account.evolve(state, forgotten) == account.evolve(of_placeholders, forgotten)


def card_is_kept(history: Sequence[Event]) -> None:
    """A gift card pays only for orders that its present code was given for, and not once it is blocked or expired."""
    is_card = blocked = expired = False
    presented: set[str] = set()
    for event in history:
        match event:
            case g.GiftCardIssued():
                is_card = True
            case g.AccountBlocked() | g.AccountUnblocked():
                blocked = isinstance(event, g.AccountBlocked)
            case g.GiftCardExpired() | g.GiftCardExtended():
                expired = isinstance(event, g.GiftCardExpired)
            case g.GiftCardCodeSet():
                presented.clear()
            case g.GiftCardPresented():
                presented.add(event.order_id)
            case a.AccountHeld() if event.payment_id:
                assert not blocked
                assert not expired
                assert not is_card or event.order_id in presented


# --- sellers and their documents


def seller_commands() -> Strategy:
    return st.builds(
        v.SetSeller,
        seller=st.sampled_from(["A", "B", "C"]),
        name=st.sampled_from(["A", "B"]),
        country=st.just("DE"),
        vat_id=st.just("DE1234"),
        channels=st.sampled_from([(), ("web",), ("web", "shop"), ("shop",)]),
    )


def sellers_hold(state: seller.Sellers, history: Sequence[Event]) -> None:
    named = [channel for one in state.by_id.values() for channel in one.channels]
    assert len(set(named)) == len(named), "a channel is one seller's"
    assert sum(not one.channels for one in state.by_id.values()) <= 1
    assert len(state.by_id) == len({one.seller for one in history if isinstance(one, v.SellerSet)})


def invoice_commands() -> Strategy:
    of: Any = {"seller": st.just("A"), "year": st.just(2026)}
    days = st.sampled_from(["2026-01-31", "2026-02-01", "2026-03-01"])
    movements = st.sampled_from([f"capture/{n}" for n in range(5)] + ["cancellation/9"])
    contents = st.builds(
        lambda movement, day: content(
            movement, happened_on=day, corrects="A-1" if movement.startswith("cancellation") else ""
        ),
        movements,
        days,
    )
    issue = st.builds(v.IssueInvoice, **of, keep_until=st.just("2036-12-31"), content=contents)
    return issue | st.builds(v.CorrectInvoice, **of, number=st.integers(1, 7), reason=st.sampled_from(["x", "y"]))


def invoices_hold(state: invoice.Series, history: Sequence[Event]) -> None:
    issued = [event for event in history if isinstance(event, v.InvoiceIssued)]
    assert [one.number for one in issued] == list(range(1, len(issued) + 1)), "no number twice, and none left out"
    assert len({one.movement for one in issued}) == len(issued), "a movement has one document"
    days = [one.issued_on for one in issued]
    assert days == sorted(days)
    asked = [one.number for one in history if isinstance(one, v.InvoiceCorrectionRequested)]
    assert len(set(asked)) == len(asked), "a document is corrected once"
    assert invoice.restore(from_json(to_json(invoice.dump(state)))) == state


LAWS: tuple[tuple[Any, Strategy, Any, frozenset[str]], ...] = (
    (
        statement.decider,
        statement_commands(),
        statement_holds,
        frozenset({"statement_differs", "statement_unbalanced", "unknown_statement"})
        | {"forgotten", "legal_hold", "no_legal_hold", "legal_hold_lifted"},
    ),
    (
        reconciliation.decider,
        reconciliation_commands(),
        reconciliation_holds,
        frozenset({"unknown_break", "unknown_match", "break_resolved", "breaks_open", "not_a_match"}),
    ),
    (
        account.decider,
        account_commands(),
        account_holds,
        frozenset({"unknown_account", "unknown_hold", "hold_of_payment", "insufficient_balance", "balance_limit"})
        | {"id_reused", "no_customer", "still_running", "forgotten"}
        | {"legal_hold", "no_legal_hold", "legal_hold_lifted"}
        | {"id_reused", "no_gift_card", "code_shown", "wrong_code", "card_not_usable", "account_blocked"},
    ),
    (seller.decider, seller_commands(), sellers_hold, frozenset({"channel_of_another_seller"})),
    (invoice.decider, invoice_commands(), invoices_hold, frozenset({"unknown_invoice", "invoice_cancels"})),
)


def outcome(decider: Any, state: Any, command: Any) -> tuple[tuple[Event, ...], str | None]:
    try:
        return tuple(decider.decide(state, command)), None
    except Refused as refused:
        return (), str(refused)


@pytest.mark.parametrize(
    ("decider", "commands", "holds", "refusals"),
    LAWS,
    ids=("statement", "reconciliation", "account", "seller", "invoice"),
)
@settings(deadline=None)
@given(data=st.data())
def test_finance_keeps_its_laws_whatever_is_asked(
    decider: Any, commands: Strategy, holds: Any, refusals: frozenset[str], data: st.DataObject
) -> None:
    state, history = decider.initial, []
    for _ in range(data.draw(st.integers(1, STEPS_MAX))):
        command = data.draw(commands)
        events, refusal = outcome(decider, state, command)
        assert_in_any_order(decider, state, command, events)
        for event in events:
            assert type(event).model_validate_json(event.model_dump_json()) == event
            state = decider.evolve(state, event)
            history.append(event)
        assert refusal is None or refusal.partition(":")[0] in refusals
        assert outcome(decider, state, command) == ((), refusal)
        holds(state, history)
