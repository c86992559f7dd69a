"""The canonical dialect: JSON that any program can write. A PlaceOrder, or what comes after it, which says its `type`.

Whatever comes after an order names it as the channel does, and may come before it: then it waits for the order.

Invariant: what every dialect is mapped to passes the same door as an order that is written here, which is the door of
the command itself (schemas/values/types.py): it can be kept, projected and added up. Closed and strict.
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
from oms_es.schemas.values.types import Channel, Identifier

DIALECT = "canonical"
LATER: Mapping[str, type[Command]] = {
    command.__name__: command for command in (AmendOrder, CancelOrder, RecordFulfilment, RecordChannelRefund)
}
"""What a channel can say of an order that it has sent."""
TYPES = (PlaceOrder.__name__, *LATER)
ESCAPE = b"\\u"
"""The name of a field may be written with it."""
SAID_OTHERWISE = frozenset({"order_id", "keep", "called"})
"""An order is named by channel and external id, and what comes before it always waits."""


def _shape_of(name: str, command: type[Command]) -> type[Message]:
    fields = {field: (info.annotation, info) for field, info in command.model_fields.items()}
    named = {"type": (Literal[name], ...), "channel": (Channel, ...), "external_id": (Identifier, ...)}
    stated = {field: info for field, info in fields.items() if field not in SAID_OTHERWISE}
    shape: type[Message] = create_model(name, __base__=Message, __doc__=command.__doc__, **{**named, **stated})  # type: ignore[call-overload] # the same
    shape.described_as = command
    return shape


SHAPES: Mapping[str, type[Message]] = {name: _shape_of(name, command) for name, command in LATER.items()}
"""Messages of what comes after an order."""


def parse(line: bytes | str) -> Command:
    """Raises BadInput."""
    return _read(line)[1]


def of_channel(channel: str) -> Callable[[bytes], Command]:
    """The same, of a source in which only this channel speaks."""

    def parsed(line: bytes) -> Command:
        stated, command = _read(line)
        if stated != channel:
            raise BadInput(
                Input.OTHER_CHANNEL,
                f"only channel {channel} speaks here, and the message is of another; send it to that channel's topic",
            )
        return command

    return parsed


def order_of(fields: Mapping[str, Any]) -> PlaceOrder:
    """What another dialect was mapped to, as an order. Raises BadInput."""
    try:
        return PlaceOrder.model_validate(fields)
    except ValidationError as error:
        raise bad_input(error) from error


def refuse_nul(line: bytes | str) -> None:
    """PostgreSQL's text cannot hold the character, and an order that no table can show must not be placed."""
    if (b"\\u0000" in line) if isinstance(line, bytes) else ("\\u0000" in line):
        raise BadInput(
            Input.NUL_CHARACTER, "a text contains \\u0000; leave that character out and send the order again"
        )


def _read(line: bytes | str) -> tuple[str, Command]:
    """Who says it, and what is said. Raises BadInput."""
    refuse_nul(line)
    fields = _typed(line)
    try:
        if fields is None or fields["type"] == PlaceOrder.__name__:
            order = PlaceOrder.model_validate_json(line if fields is None else _without_type(fields), strict=True)
            return order.channel, order
        return _later(line, fields["type"])
    except ValidationError as error:
        raise bad_input(error) from error


def _typed(line: bytes | str) -> Mapping[str, Any] | None:
    """Its fields, if it may say of which type it is: nearly all messages are orders, which are read once."""
    text = line.encode() if isinstance(line, str) else line
    if b'type"' not in text and ESCAPE not in text:
        return None
    try:
        fields = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None  # the order's own reader says why
    return fields if isinstance(fields, dict) and "type" in fields else None


def _without_type(fields: Mapping[str, Any]) -> bytes:
    return to_json({name: value for name, value in fields.items() if name != "type"})


def _later(line: bytes | str, name: object) -> tuple[str, Command]:
    if not isinstance(name, str) or name not in LATER:
        raise BadInput(Input.UNKNOWN_TYPE, f"type: a channel sends none but {', '.join(TYPES)}; write one of them")
    stated: Any = brought_in(SHAPES[name].model_validate_json(line, strict=True))
    given = {field: getattr(stated, field) for field in stated.model_fields_set if field in LATER[name].model_fields}
    return stated.channel, LATER[name].model_validate({**given, **early_names(stated.channel, stated.external_id)})
