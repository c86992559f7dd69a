"""The commands about a gift card's code: made of the code where it is typed, and of its hash from there on."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from oms_es.reports.queries import Row
from oms_es.schemas.finance.gift_card import PresentGiftCard, SetGiftCardCode
from oms_es.schemas.order import order_id_of
from oms_es.store.privacy import gift_codes
from oms_es.store.privacy.gift_codes import CODES


class NewCode(NamedTuple):
    """A code, which is shown to the person who asked for it, and the command that has its hash."""

    code: str
    command: SetGiftCardCode


def new_code(account_id: str, *, replace: bool) -> NewCode:
    """Raise NoCodeKey, or ValidationError for an id that no account has."""
    code = gift_codes.generated()
    said = {"account_id": account_id, "code_hash": CODES.hash_of(gift_codes.plain(code) or ""), "replace": replace}
    return NewCode(code, SetGiftCardCode.model_validate(said))


def presented(card: Row, external_id: str, now: datetime) -> PresentGiftCard:
    """Return the command that lets an order of the card's channel be paid from the card, whose code was given."""
    order_id = order_id_of(card["channel"], external_id)
    return PresentGiftCard(account_id=card["account_id"], code_hash=card["code_hash"], order_id=order_id, now=now)
