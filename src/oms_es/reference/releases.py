"""Earlier releases of the published schemas, one file each, and whether today's messages are compatible with them.

Invariant: a release is never changed. A client of any release can read what is sent today, and its messages are still
accepted: every open schema that was published allows what is sent, and what could be sent to this program is still
accepted, except input that could only stop the engine or be lost (narrowings.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reference.compatibility import problems
from oms_es.reference.json_schemas import Described
from oms_es.reference.narrowings import Narrowing

RELEASES = "published"
ADVICE = (
    "Give a new field a default and leave the others as they are; "
    "a changed meaning is a new message, and one that is taken must stay as wide as it was, but for what could only "
    "stop the engine or be lost: list that with its reason in reference/narrowings.py."
)


class AlreadyReleased(OmsError):
    """Another content was released under this version."""

    code = "already_released"
    exit_code = Code.USAGE
    status = HTTPStatus.CONFLICT


class Release(NamedTuple):
    """One release. `messages`: the kind, topic and published schema of each message, by name."""

    version: str
    messages: Mapping[str, Mapping[str, Any]]


def released(directory: Path) -> list[Release]:
    """Return all releases, by version."""
    files = sorted((directory / RELEASES).glob("*.json"), key=lambda file: _order(file.stem))
    return [Release(file.stem, json.loads(file.read_text())) for file in files]


def release(directory: Path, version: str, messages: Iterable[Described]) -> Path | None:
    """Write today's messages as the release of this version; return None if it exists already. Raise
    AlreadyReleased."""
    file = directory / RELEASES / f"{version}.json"
    text = as_text({m.name: {"kind": m.kind, "topic": m.topic, "schema": m.published} for m in messages})
    if file.exists():
        if file.read_text() == text:
            return None
        raise AlreadyReleased(
            f"{version} is published and differs from today's messages; raise the version in pyproject.toml first"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def broken_promises(
    releases: Iterable[Release], messages: Iterable[Described], narrowings: Iterable[Narrowing] = ()
) -> list[str]:
    """Return the incompatibilities that are not listed as narrowings."""
    today = {message.name: message for message in messages}
    listed = {narrowing.found for narrowing in narrowings}
    found = [
        f"{name}, since {before.version}: {problem}"
        for before in releases
        for name, was in before.messages.items()
        for problem in _problems(was, today.get(name))
    ]
    return [problem for problem in found if problem not in listed]


def _problems(was: Mapping[str, Any], now: Described | None) -> Iterator[str]:
    if now is None or now.kind != was["kind"]:
        yield "it is gone, and a client may wait for it or send it"
        return
    if now.topic != was["topic"]:
        yield f"it was on {was['topic']}, and is on {now.topic}"
    yield from problems(was["schema"], now.exact) if now.kind == "inbound" else problems(now.exact, was["schema"])


def as_text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _order(version: str) -> list[tuple[bool, int, str]]:
    """Return a sort key, by which 0.10 comes after 0.9."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in version.split(".")]
