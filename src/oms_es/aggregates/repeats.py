"""Commands that name their own act: a repeat decides nothing, another command under the same name is refused.

Invariant: a command that names its own act (a receipt, a refund, an amendment) takes effect once, and one with other
content is never taken for its repeat. A digest of its content is stored with the event that answers it, and the state
remembers it by the name. Older events have no digest: for these, any command of the same name counts as a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from oms_es.kernel import Command, Refused, stream_fields
from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import serial as se
from oms_es.schemas.finance import account as a
from oms_es.schemas.order import returns as x
from oms_es.schemas.refusals import SharedRefusal
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.personal import personal_fields

OWN_IDS: Mapping[type[Command], str] = {
    s.ReceiveStock: "receipt_id",
    s.ReceiveInbound: "receipt_id",
    s.AdmitSerials: "receipt_id",
    s.CountStock: "count_id",
    s.AdjustStock: "adjustment_id",
    s.ChangeCondition: "change_id",
    s.WriteOffStock: "write_off_id",
    s.MoveToBin: "move_id",
    s.MoveStock: "move_id",
    s.ExpectInbound: "inbound_id",
    s.ReserveStock: "reservation_id",
    s.ReleaseStock: "release_id",
    se.ReceiveSerials: "receipt_id",
    o.AmendOrder: "amendment_id",
    o.CancelOrderLines: "cancellation_id",
    o.SplitOrder: "split_id",
    o.MergeOrders: "merge_id",
    o.RefundOrder: "refund_id",
    o.RecordFulfilment: "fulfilment_id",
    o.RecordChannelRefund: "refund_id",
    o.OverrideOrder: "override_id",
    o.AddNote: "note_id",
    x.RequestReturn: "rma_id",
    r.ReceiveRma: "receipt_id",
    r.InspectRma: "inspection_id",
    a.CreditAccount: "entry_id",
    a.DebitAccount: "entry_id",
    a.HoldAccount: "hold_id",
    a.ApplyAccountHold: "entry_id",
}
"""The field by which a command names itself."""
QUOTED_BEFORE = frozenset({"note_text"})
"""Fields that older events, from before encryption, contain in plain text; a repeat of their commands must still
match."""
NAMED: Mapping[str, type[Command]] = {command.__name__: command for command in OWN_IDS}
FREE = frozenset({"now", "keep", "called"})
"""Fields that say when and how a command is sent, not what it asks for."""
IMPLIED: Mapping[type[Command], frozenset[str]] = {o.AmendOrder: frozenset({"currency"})}
"""Fields that say nothing new of what took effect: an amendment in another currency than the order's has none."""
LITERAL_CHARACTERS_MAX = 40
"""Longer values are stored as a digest."""


def asked_of(command: Command) -> str:
    """Return the command's content without its name, on one line, as it is stored with the event that answers it.

    Personal fields appear as digests: their values are stored once, in their own fields.
    """
    return _stated(command, _personal_in(type(command)))


def unquoted(asked: str) -> str:
    """Return what `asked_of` says today of a command whose personal fields an older event quotes."""
    name, _, content = asked.partition(" ")
    kind = NAMED.get(name)
    if kind is None:
        return asked
    stated: dict[str, Any] = from_json(content)
    quoted = {field for field in _personal_in(kind) & stated.keys() if not _is_digest(stated[field])}
    return f"{name} {to_json(stated | {one: _kept(stated[one], 0) for one in quoted}).decode()}" if quoted else asked


def _stated(command: Command, unquoted: frozenset[str]) -> str:
    kind = type(command)
    stated = {
        name: _kept(value, LITERAL_CHARACTERS_MAX * (name not in unquoted))
        for name, default in _content_of(kind)
        if (value := getattr(command, name)) != default
    }
    return f"{kind.__name__} {to_json(stated).decode()}"


@cache
def _personal_in(kind: type[Command]) -> frozenset[str]:
    return frozenset(personal_fields((kind,)))


@cache
def _content_of(kind: type[Command]) -> tuple[tuple[str, Any], ...]:
    fields = kind.model_fields
    beside = {*FREE, *IMPLIED.get(kind, ()), OWN_IDS[kind], *stream_fields(kind)}
    return tuple((name, fields[name].default) for name in sorted(fields.keys() - beside))


def _kept(value: Any, literal_max: int) -> Any:
    if isinstance(value, int):
        return value
    text = to_json(_plain(value)).decode()
    if len(text) <= literal_max:
        return from_json(text)
    return f"sha256:{sha256(text.encode()).hexdigest()[:16]}"


def _plain(value: Any) -> Any:
    """Return the value in a comparable form: a time compares by its instant, whichever offset it was sent with."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case BaseModel():
            return {name: _plain(part) for name, part in value if part != type(value).model_fields[name].default}
        case list() | tuple():
            return [_plain(part) for part in value]
        case dict():
            return {name: _plain(part) for name, part in sorted(value.items())}
        case _:
            return value


def done_before(known: str | None, command: Command) -> bool:
    """Return whether the command took effect already.

    `known` is what is remembered under its name. Raise Refused if its content differs.
    """
    if not known:
        return known is not None
    asked = asked_of(command)
    if known not in (asked, _stated(command, QUOTED_BEFORE)):
        own = OWN_IDS[type(command)]
        raise Refused(
            SharedRefusal.ID_REUSED,
            f"{own} {getattr(command, own)} is known in {command.stream} already, and {_difference(known, asked)}; "
            f"a repeat must be the same, and something else needs another {own}",
        )
    return True


def _difference(known: str, asked: str) -> str:
    (was, _, before), (now, _, after) = known.partition(" "), asked.partition(" ")
    if was != now:
        return f"it names what {was} did"
    old, new = from_json(before), from_json(after)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return ", ".join(f"{name} {_changed(old.get(name), new.get(name))}" for name in names)


def _changed(before: Any, after: Any) -> str:
    """Return how a value changed, in words; of two digests only that they differ."""
    if _is_digest(before) and _is_digest(after):
        return "is not as it was, in its parts or in their order"
    return f"was {_said(before)} and is {_said(after)} now"


def _said(value: Any) -> str:
    if value is None:
        return "left out"
    return "something longer" if _is_digest(value) else to_json(value).decode()


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("sha256:")
