"""Gift cards: accounts whose money belongs to the holder of a code.

A code is never stored: commands and events have a keyed hash of it. These classes are the storage format. An event's
name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from oms_es.kernel import SystemCommand
from oms_es.schemas.finance.account import AccountCommand, AccountEntry, AccountEvent
from oms_es.schemas.values.types import Channel, Currency, Identifier, Moment, Text

CODE_HASH_PATTERN = r"^[0-9a-f]{64}$"
CodeHash = Annotated[str, StringConstraints(pattern=CODE_HASH_PATTERN)]
"""HMAC-SHA-256 of a code, in hexadecimal digits."""
OnExpiry = Literal["stays", "income"]
"""What becomes of the money that is left when a card expires: it stays on the card, or is taken as income."""


class IssueGiftCard(AccountCommand):
    """Issue a gift card without money; it is active once money was paid in with `credit`.

    Only orders of this channel are paid from it. `on_expiry`: whether the rest stays on the card, or is taken as
    income.
    """

    channel: Channel
    currency: Currency
    expires_at: Moment | None = None
    on_expiry: OnExpiry = "stays"


class ExtendGiftCard(AccountCommand):
    """Set when the card expires; without `expires_at` it does not. An expired card is usable again."""

    expires_at: Moment | None = None


class BlockAccount(AccountCommand):
    """Refuse new payments from the account, and money that is paid out by hand, such as for a lost card.

    What is held for orders already is still taken for them, and refunds come onto it.
    """

    reason: Text = ""


class UnblockAccount(AccountCommand):
    """Take payments from the account again."""

    reason: Text = ""


class SetGiftCardCode(AccountCommand, SystemCommand):
    """Set the hash of a code that was shown just now. `replace`: in place of an earlier code."""

    code_hash: CodeHash
    replace: bool = False


class PresentGiftCard(AccountCommand, SystemCommand):
    """Let an order be paid from the card, as its code was given for this order."""

    code_hash: CodeHash
    order_id: Identifier
    now: Moment


class ExpireGiftCard(AccountCommand, SystemCommand):
    """End the card's validity if its time has come."""

    now: Moment


class GiftCardIssued(AccountEvent):
    expires_at: Moment | None
    on_expiry: OnExpiry


class GiftCardCodeSet(AccountEvent):
    """The card has this code. An earlier code, and orders that it was presented for, count no more."""

    code_hash: str


class GiftCardPresented(AccountEvent):
    """The card's code was given for the order."""

    order_id: str


class GiftCardExtended(AccountEvent):
    expires_at: Moment | None


class GiftCardExpired(AccountEvent):
    """The card pays for nothing any more."""


class GiftCardForfeited(AccountEntry):
    """The rest of an expired card was taken as income."""


class AccountBlocked(AccountEvent):
    reason: str = ""


class AccountUnblocked(AccountEvent):
    reason: str = ""
