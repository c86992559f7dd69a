"""Every command of the vocabulary as a command of the terminal: `oms-es ENTITY VERB`.

Invariant: every command that a decider accepts can be given by hand, through the same checks; nothing here knows what a
command means. The fields that name the stream are arguments, the others are options; a value that is neither text,
number nor moment is JSON, or `@FILE` with JSON in it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, from_json

from oms_es.app.examples import example
from oms_es.app.verbs import GIVEN_HERE, Verb, id_of, is_for_the_engine, named_as_typed
from oms_es.attribute_docs import attribute_docs
from oms_es.door import BY_THE_CLOCK
from oms_es.kernel import BadInput, Command, stream_fields
from oms_es.schemas.sent import check_sent

JSON_OR_FILE = "JSON|@FILE"
SCALARS = (str, int, float, datetime)
CALLED = "called"
"""The field with the order's external name, for an order that may still be to come: the name that the person typed,
unless another was given."""


def add_to(group: typer.Typer, verb: Verb, do: Callable[..., None]) -> None:
    """Add the verb to the group. `do` gets the command, whether to print JSON, and whether only to preview it.

    A command that only the engine gives is not listed, and is refused without --as-system.
    """
    fields = verb.command.model_fields
    arguments = stream_fields(verb.command)
    offered = [name for name, field in fields.items() if name not in arguments and BY_THE_CLOCK not in field.metadata]
    hidden = is_for_the_engine(verb.command)

    def run(*, json: bool, preview: bool, as_system: bool = False, **given: Any) -> None:
        if hidden and not as_system:
            raise typer.BadParameter(
                f"only the engine gives `{verb.group} {verb.name}`; to repair something by hand, add --as-system: "
                "it is logged, and kept as who gave it"
            )
        with named_as_typed(_orders_in(given)):
            do(command_of(verb.command, given), json=json, preview=preview)

    parameters = [
        *(_argument(name) for name in arguments),
        *(_option(verb.command, name, field) for name, field in fields.items() if name in offered),
        _flag("json", "Print JSON for a program to read."),
        _flag("preview", "Only say what would happen."),
        *([_flag("as-system", "Give it in the engine's place, for a repair: logged.")] if hidden else []),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    help_text = inspect.getdoc(verb.command) if verb.command.__doc__ else None
    group.command(verb.name, help=help_text, hidden=hidden)(run)


def command_of(shape: type[Command], given: Mapping[str, Any]) -> Command:
    """Build the command from what was typed. Raise pydantic's ValidationError, which names the field."""
    values = {name: _read(shape.model_fields[name], value) for name, value in given.items() if value is not None}
    for name in GIVEN_HERE.intersection(shape.model_fields).difference(values):
        values[name] = datetime.now(UTC)
    if "order_id" in values:
        if "/" in values["order_id"] and CALLED in shape.model_fields:
            values.setdefault(CALLED, values["order_id"])
        values["order_id"] = id_of(values["order_id"])
    if isinstance(orders := values.get("order_ids"), list):
        values["order_ids"] = [id_of(name) if isinstance(name, str) else name for name in orders]
    return shape.model_validate(values)


def _orders_in(given: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the ids of orders that were named as CHANNEL/EXTERNAL_ID, each with that name."""
    orders = [given.get("order_id")]
    with suppress(ValueError, TypeError):
        orders += from_json(given.get("order_ids") or "[]")
    return {id_of(name): name for name in orders if isinstance(name, str) and "/" in name}


def _read(field: FieldInfo, value: Any) -> Any:
    if not isinstance(value, str) or _is_plain(field.annotation):
        return value
    text = _text_of(Path(value[1:])) if value.startswith("@") else value
    try:
        check_sent(text)
        return from_json(text)
    except BadInput as error:
        raise typer.BadParameter(error.detail) from error
    except ValueError as error:
        raise typer.BadParameter(f"what is given is not JSON: {error}; write JSON, or @FILE with JSON in it") from error


def _text_of(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}; name a file with JSON in it") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not text in UTF-8; name a file with JSON in it") from error


def _is_plain(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_plain(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return all(part is type(None) or _is_plain(part) for part in get_args(annotation))
    plain_type = isinstance(annotation, type) and issubclass(annotation, SCALARS)
    return plain_type or origin is Literal or annotation is AwareDatetime


def _argument(name: str) -> inspect.Parameter:
    more = typer.Argument(metavar=name.upper(), help="Its id, or CHANNEL/EXTERNAL_ID." if name == "order_id" else None)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, more])


def _option(command: type[Command], name: str, field: FieldInfo) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    required = field.is_required() and name not in GIVEN_HERE
    is_flag = field.annotation is bool
    shape: Any = bool if is_flag else str
    more = typer.Option(
        *([f"{flag}/--no-{flag[2:]}"] if is_flag else [flag]), metavar=_metavar(field), help=_help(command, name, field)
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[shape if required else shape | None, more],
    )


def _metavar(field: FieldInfo) -> str | None:
    choices = [str(choice) for choice in _choices(field.annotation)]
    if choices:
        return f"[{'|'.join(choices)}]"
    return None if field.annotation is bool else ("TEXT" if _is_plain(field.annotation) else JSON_OR_FILE)


def _choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, types.UnionType, Annotated):
        for part in get_args(annotation):
            yield from _choices(part)


def _help(command: type[Command], name: str, field: FieldInfo) -> str | None:
    without = field.is_required() or field.default in (None, PydanticUndefined, "", ())
    default = None if without else f"[default: {field.default}]"
    shape = f"Such as '{example(name, field)}'." if _metavar(field) == JSON_OR_FILE else None
    return " ".join(filter(None, (attribute_docs(command).get(name), shape, default))) or None


def _flag(name: str, what: str) -> inspect.Parameter:
    more = typer.Option(f"--{name}", help=what)
    return inspect.Parameter(
        name.replace("-", "_"), inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, more]
    )
