"""The canonical dialect: JSON that any program can write. A message is a PlaceOrder, or a later one that names its
`type`.

Later messages name their order as the channel does. They may arrive before it; then they wait for the order.

Invariant: what every dialect is mapped to passes the same checks as an order in this dialect, which are those of the
command itself (schemas/values/types.py): it can be stored, projected and added up. Unknown fields are refused, and
types are strict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError, create_model
from pydantic_core import from_json, to_json

from oms_es.channels.errors import BadInput, bad_input
from oms_es.door import brought_in
from oms_es.kernel import Command, Message
from oms_es.schemas.inputs import Input
from oms_es.schemas.order import AmendOrder, CancelOrder, PlaceOrder, RecordChannelRefund, RecordFulfilment, early_names
from oms_es.schemas.sent import check_sent
from oms_es.schemas.values.types import Channel, Identifier

DIALECT = "canonical"
LATER: Mapping[str, type[Command]] = {
    command.__name__: command for command in (AmendOrder, CancelOrder, RecordFulfilment, RecordChannelRefund)
}
"""Commands that a channel can send about an order that it has sent."""
TYPES = (PlaceOrder.__name__, *LATER)
ESCAPE = b"\\u"
"""An escape with which the name of a field may be written."""
FIELDS_LEFT_OUT = frozenset({"order_id", "keep", "called"})
"""Fields that a message does not have: channel and external id name the order, and an early message always waits."""


def _shape_of(name: str, command: type[Command]) -> type[Message]:
    fields = {field: (info.annotation, info) for field, info in command.model_fields.items()}
    named = {"type": (Literal[name], ...), "channel": (Channel, ...), "external_id": (Identifier, ...)}
    stated = {field: info for field, info in fields.items() if field not in FIELDS_LEFT_OUT}
    shape: type[Message] = create_model(name, __base__=Message, __doc__=command.__doc__, **{**named, **stated})  # type: ignore[call-overload] # the same
    shape.described_as = command
    return shape


SHAPES: Mapping[str, type[Message]] = {name: _shape_of(name, command) for name, command in LATER.items()}
"""The message classes of what follows an order."""


def parse(line: bytes | str) -> Command:
    """Parse a message to its command. Raise BadInput if it is not valid."""
    return _read(line)[1]


def of_channel(channel: str) -> Callable[[bytes], Command]:
    """Return a parser for a source that only this channel writes to; it raises BadInput for another channel."""

    def parsed(line: bytes) -> Command:
        stated, command = _read(line)
        if stated != channel:
            raise BadInput(
                Input.OTHER_CHANNEL,
                f"this topic takes messages of channel {channel} only; send this one to the topic of its own channel",
            )
        return command

    return parsed


def order_of(fields: Mapping[str, Any]) -> PlaceOrder:
    """Return the order that another dialect was mapped to. Raise BadInput if it is not valid."""
    try:
        return PlaceOrder.model_validate(fields)
    except ValidationError as error:
        raise bad_input(error) from error


def _read(line: bytes | str) -> tuple[str, Command]:
    """Return the channel and the command of a message. Raise BadInput if it is not valid."""
    check_sent(line)
    fields = _typed(line)
    try:
        if fields is None or fields["type"] == PlaceOrder.__name__:
            order = PlaceOrder.model_validate_json(line if fields is None else _without_type(fields), strict=True)
            return order.channel, order
        return _later(line, fields["type"])
    except ValidationError as error:
        raise bad_input(error) from error


def _typed(line: bytes | str) -> Mapping[str, Any] | None:
    """Return the fields if the message may name its type.

    None for a plain order. Nearly all messages are orders, and are parsed once.
    """
    text = line.encode() if isinstance(line, str) else line
    if b'type"' not in text and ESCAPE not in text:
        return None
    try:
        fields = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None  # the parser of orders reports what is wrong
    return fields if isinstance(fields, dict) and "type" in fields else None


def _without_type(fields: Mapping[str, Any]) -> bytes:
    return to_json({name: value for name, value in fields.items() if name != "type"})


def _later(line: bytes | str, name: object) -> tuple[str, Command]:
    if not isinstance(name, str) or name not in LATER:
        raise BadInput(Input.UNKNOWN_TYPE, f"type: a channel sends none but {', '.join(TYPES)}; write one of them")
    stated: Any = brought_in(SHAPES[name].model_validate_json(line, strict=True))
    given = {field: getattr(stated, field) for field in stated.model_fields_set if field in LATER[name].model_fields}
    return stated.channel, LATER[name].model_validate({**given, **early_names(stated.channel, stated.external_id)})
