"""Whose data a key encrypts: an order's, by its id, or an account's or a statement's, by the name of its stream.

Invariant: an event is encrypted under the key of its stream's subject, and which event says that a subject is to be
forgotten is said here alone.
"""

from __future__ import annotations

from oms_es.kernel import Event
from oms_es.schemas.finance.account_privacy import AccountForgotten
from oms_es.schemas.finance.statement_privacy import StatementForgotten
from oms_es.schemas.order import OrderForgotten

ORDER, ACCOUNT, STATEMENT = "order-", "account-", "statement-"
NAMED_BY_STREAM = (ACCOUNT, STATEMENT)
"""Subjects whose keys have the names of their streams; an order's id begins with none of these."""
FORGOTTEN: tuple[type[Event], ...] = (OrderForgotten, AccountForgotten, StatementForgotten)
FORGOTTEN_TYPES = [event.__name__ for event in FORGOTTEN]


def stream_of(subject: str) -> str:
    return subject if subject.startswith(NAMED_BY_STREAM) else f"{ORDER}{subject}"


def subject_of(stream: str) -> str:
    """Return whose stream it is; empty if it is of no subject, such as a parcel's."""
    if stream.startswith(ORDER):
        return stream.removeprefix(ORDER)
    return stream if stream.startswith(NAMED_BY_STREAM) else ""
