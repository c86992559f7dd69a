"""What an account decides that is a gift card, and what blocks any account. Part of the account's decider.

Invariant: a card pays only for orders that its present code was given for, and for nothing once it is blocked or has
expired. Its code is known by a hash alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from hmac import compare_digest

from oms_es.aggregates.finance.account_state import Account, Card, entry
from oms_es.kernel import Refused
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.finance.refusals import FinanceRefusal
from oms_es.schemas.refusals import SharedRefusal

KIND: a.AccountKind = "gift_card"


def evolve(account: Account, event: a.AccountEvent) -> Account:
    card = account.card
    match event:
        case g.GiftCardIssued():
            return account._replace(card=Card(event.expires_at, event.on_expiry))
        case g.AccountBlocked() | g.AccountUnblocked():
            return account._replace(blocked=isinstance(event, g.AccountBlocked))
        case g.GiftCardCodeSet() if card:
            card = Card(card.expires_at, card.on_expiry, card.expired, event.code_hash)
        case g.GiftCardPresented() if card:
            card = card._replace(presented=card.presented.insert(event.order_id))
        case g.GiftCardExtended() if card:
            card = card._replace(expires_at=event.expires_at, expired=False)
        case g.GiftCardExpired() if card:
            card = card._replace(expired=True)
    return account._replace(card=card)


def paid_for(account: Account, card: Card, event: a.AccountHeld) -> Account:
    """Return the account after the card paid for an order: what is split off this order is paid for by it, too."""
    return (
        account._replace(card=card._replace(presented=card.presented.insert(event.order_id)))
        if event.order_id
        else account
    )


def issue(account: Account, command: g.IssueGiftCard) -> Iterator[a.AccountEvent]:
    """Yield the account and its terms. Raise Refused if the id is another account's, or has other terms."""
    of = {"account_id": command.account_id}
    opened = a.AccountOpened(**of, kind=KIND, channel=command.channel, currency=command.currency)
    if account.opened is None:
        yield opened
        yield g.GiftCardIssued(**of, expires_at=command.expires_at, on_expiry=command.on_expiry)
    elif opened != account.opened or (account.card and account.card.on_expiry != command.on_expiry):
        raise Refused(
            SharedRefusal.ID_REUSED,
            f"account {command.account_id} is open with another kind, channel, currency or expiry; name another card",
        )


def blocking(account: Account, command: g.BlockAccount | g.UnblockAccount) -> Iterator[a.AccountEvent]:
    of = {"account_id": command.account_id, "reason": command.reason}
    if account.blocked != isinstance(command, g.BlockAccount):
        yield g.AccountUnblocked(**of) if account.blocked else g.AccountBlocked(**of)


def require_open(account: Account, command: a.DebitAccount | a.HoldAccount) -> None:
    """Raise Refused if the account is blocked."""
    if account.blocked:
        raise Refused(
            FinanceRefusal.ACCOUNT_BLOCKED,
            f"account {command.account_id} is blocked; unblock it first with `oms-es account unblock`",
        )


def of_card(account: Account, command: a.AccountCommand) -> Iterator[a.AccountEvent]:
    """Yield what a command about a gift card leads to. Raise Refused if the account is none, or the card has too much
    against it.
    """
    card, of = _card_of(account, command), {"account_id": command.account_id}
    match command:
        case g.ExtendGiftCard():
            if card.expired or command.expires_at != card.expires_at:
                yield g.GiftCardExtended(**of, expires_at=command.expires_at)
        case g.SetGiftCardCode():
            if card.code_hash == command.code_hash:
                return
            if card.code_hash and not command.replace:
                raise Refused(
                    FinanceRefusal.CODE_SHOWN,
                    f"the code of card {command.account_id} was shown; replace it if it is lost",
                )
            yield g.GiftCardCodeSet(**of, code_hash=command.code_hash)
        case g.PresentGiftCard():
            _require_usable(account, card, command)
            if command.order_id not in card.presented:
                yield g.GiftCardPresented(**of, order_id=command.order_id)
        case g.ExpireGiftCard():
            if card.expires_at is not None and card.expires_at <= command.now and not card.expired:
                yield g.GiftCardExpired(**of)
                if card.on_expiry == "income" and account.available:
                    yield entry(account, g.GiftCardForfeited, account.available, -account.available, 0)


def _card_of(account: Account, command: a.AccountCommand) -> Card:
    if account.card is None:
        raise Refused(
            FinanceRefusal.NO_GIFT_CARD,
            f"account {command.account_id} is no gift card; `oms-es account show` says what",
        )
    return account.card


def _require_usable(account: Account, card: Card, command: g.PresentGiftCard) -> None:
    """Raise Refused if the code is not the card's, or the card pays for nothing."""
    if not (card.code_hash and compare_digest(card.code_hash, command.code_hash)):
        raise Refused(FinanceRefusal.WRONG_CODE, "no card has this code; compare it with the card, and give it again")
    if account.blocked or card.expired or (card.expires_at and card.expires_at <= command.now):
        why = "is blocked" if account.blocked else "has expired"
        raise Refused(FinanceRefusal.CARD_NOT_USABLE, f"the card {why}; pay in another way")


def why_not(account: Account, command: a.HoldForPayment) -> tuple[str, bool] | None:
    """Return why nothing may be held, whatever is on the account, and whether a later attempt may succeed; or None."""
    if account.blocked:
        return "the account is blocked", True
    card = account.card
    if card and card.expired:
        return "the gift card has expired", True
    if card and not any(order_id in card.presented for order_id in (command.order_id, *command.joined_from)):
        return "the code of the gift card was not given for this order", True
    return None
