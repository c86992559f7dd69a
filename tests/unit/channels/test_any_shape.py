"""Whatever a message of any dialect contains: it becomes a command, it is skipped, or it is refused with what to do.

Anything else would stop a reader, or end a command, for what someone else wrote.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from oms_es.app import parser_of
from oms_es.channels import DIALECTS
from oms_es.gateways.callbacks import CALLBACKS
from oms_es.kernel import BadInput, Skipped
from oms_es.processing.intake.worker import dead_letter_of, understood
from oms_es.schemas.inputs import Input
from oms_es.simulation.requests.inputs import Inputs
from payloads import payload

MESSAGES = 4
"""Of each dialect, whose every part is replaced by each of these."""
PERSON = "Erika Mustermann, Heidestr. 17"
ODD: tuple[Any, ...] = (None, True, -1, 1.5, 10**40, "", PERSON, "\x00\ud800", [], [None], {}, {"a": {}}, [PERSON])
DEEP = b'{"id":' * 20_000 + b"1" + b"}" * 20_000
WHOLE = (b"", b"\x00", b"\xff\xfe", b"null", b"1", b"[]", b"{}", b'""', b"NaN", b'{"a":1e999}', DEEP)


def parts(document: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    if isinstance(document, dict | list):
        named = document.items() if isinstance(document, dict) else enumerate(document)
        for name, inner in named:
            yield from parts(inner, (*at, name))


def replaced(document: Any, at: tuple[str | int, ...], by: Any) -> bytes:
    changed = copy.deepcopy(document)
    inner = changed
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = by
    return json.dumps(changed).encode()


def said_of(dialect: str, message: bytes) -> str:
    """Return what the sender learns of a refusal, or an empty text."""
    try:
        understood(parser_of(dialect), message)
    except BadInput as bad:
        assert bad.reason is not Input.UNEXPECTED, (bad, message)
        return bad.detail
    except Skipped:  # why is neither kept nor logged
        return ""
    return ""


@pytest.mark.parametrize("dialect", [*DIALECTS, *CALLBACKS])
def test_whatever_stands_anywhere_is_understood_or_refused_without_being_repeated(dialect: str) -> None:
    inputs = Inputs(Random(11), (), {})
    for _ in range(MESSAGES):
        document = json.loads(payload(dialect, inputs))
        for at in parts(document):
            for odd in ODD:
                message = replaced(document, at, odd)
                assert PERSON not in said_of(dialect, message), message


@pytest.mark.parametrize("dialect", [*DIALECTS, *CALLBACKS])
def test_a_message_whose_object_has_a_name_twice_is_refused(dialect: str) -> None:
    document = json.loads(payload(dialect, Inputs(Random(11), (), {})))
    for at in parts(document):
        if isinstance(at[-1], str):
            twice = with_another(document, at)
            with pytest.raises(BadInput) as refused:
                understood(parser_of(dialect), twice)
            assert refused.value.reason is Input.NAME_TWICE, twice


def with_another(document: Any, at: tuple[str | int, ...]) -> bytes:
    """Return the document with the entry repeated; the second value is null."""
    changed = copy.deepcopy(document)
    inner = changed
    for name in at[:-1]:
        inner = inner[name]
    inner["TWIN"] = None
    return json.dumps(changed).replace('"TWIN"', json.dumps(at[-1])).encode()


@pytest.mark.parametrize("dialect", [*DIALECTS, *CALLBACKS])
def test_what_is_no_message_at_all_is_refused(dialect: str) -> None:
    for message in WHOLE:
        assert said_of(dialect, message), message[:20]


def test_a_mistake_of_a_dialect_of_ours_is_of_its_message_alone() -> None:
    """An unexpected exception of a dialect used to stop every other message of its source."""

    def parse(_message: bytes) -> Any:
        raise KeyError(PERSON)

    with pytest.raises(BadInput) as refused:
        understood(parse, b"{}")
    assert refused.value.reason is Input.UNEXPECTED
    dead_letter = dead_letter_of(refused.value, "file", "1", "new", b"{}", ())
    assert dead_letter.reason == Input.UNEXPECTED
