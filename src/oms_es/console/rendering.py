"""Templates, which escape whatever they are given, and the formats of values on a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic_core import to_json

from oms_es.schemas.values.currency import in_money

MEDIA_TYPES: Mapping[str, str] = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
MEDIA_TYPES = {**MEDIA_TYPES, "svg": "image/svg+xml"}
MINUTE, HOUR, DAY = 60, 3_600, 86_400
AGES: tuple[tuple[int, str], ...] = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"))


class Static(NamedTuple):
    body: bytes
    media_type: str
    digest: str


@cache
def statics() -> Mapping[str, Static]:
    """Return the static files that pages refer to, by name."""
    found = {}
    for file in files("oms_es.console").joinpath("static").iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in MEDIA_TYPES:
            body = file.read_bytes()
            found[file.name] = Static(body, MEDIA_TYPES[ending], sha256(body).hexdigest()[:16])
    return found


def static_url(name: str) -> str:
    """Return the file's address; it changes with the content, so that a browser may cache it for ever."""
    return f"/console/static/{name}?v={statics()[name].digest}"


def moment_of(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.astimezone(UTC)


def moment(value: Any) -> Markup:
    """Format a moment in UTC, to the minute; the attributes hold all digits, for programs and tooltips."""
    if not value:
        return Markup("–")
    at = moment_of(value)
    return Markup('<time datetime="{iso}" title="{iso}">{shown}</time>').format(
        iso=at.isoformat().replace("+00:00", "Z"), shown=f"{at:%Y-%m-%d %H:%M}"
    )


def second(value: Any) -> Markup:
    at = moment_of(value)
    return Markup('<time datetime="{iso}">{shown}</time>').format(
        iso=at.isoformat().replace("+00:00", "Z"), shown=f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1_000:03d}"
    )


class Age(NamedTuple):
    """How long ago something was, in its largest unit; the unit is a key of the texts."""

    number: int
    unit: str


def age(value: Any) -> Age:
    seconds = int((datetime.now(UTC) - moment_of(value)).total_seconds())
    for size, unit in AGES:
        if abs(seconds) >= size:
            return Age(seconds // size, unit)
    return Age(seconds, "s")


def money(amount_minor: Any, currency: str | None) -> str:
    return "–" if amount_minor is None else in_money(int(amount_minor), currency)


def as_json(value: Any) -> str:
    return to_json(value, indent=2).decode()


def shown(value: Any) -> Markup:
    """Format a value of any shape; lists and maps are shown as JSON."""
    if value is None or value in ("", [], {}):
        return Markup("–")
    if isinstance(value, dict | list):
        text = as_json(value)
        return Markup("<pre>{}</pre>").format(text)
    return escape(value)


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("oms_es.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "second": second, "age": age, "money": money, "as_json": as_json, "shown": shown}
    made.globals |= {"static": static_url}
    return made
