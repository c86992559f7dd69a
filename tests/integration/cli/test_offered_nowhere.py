"""A command that only a migration gives is offered nowhere: no key, file or terminal may record what did not happen."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from oms_es.app import DECIDERS
from oms_es.app.bulk_commands import offered, reader
from oms_es.app.verbs import verbs
from oms_es.exit_codes import Code
from oms_es.kernel import BadInput, MigrationCommand
from oms_es.schemas.operations.encryption import RecordEncryption

FIELDS = {"previous": 0, "reached": 9, "events": [], "checkpoint": "made up"}
BY_MIGRATIONS = [c for decider in DECIDERS for c in decider.accepts if issubclass(c, MigrationCommand)]


def test_there_is_such_a_command_and_it_has_no_name_to_be_given_by() -> None:
    assert [*BY_MIGRATIONS] == [RecordEncryption]
    assert not {verb.command for verb in verbs(DECIDERS)}.intersection(BY_MIGRATIONS)
    assert not {*offered(DECIDERS).values()}.intersection(BY_MIGRATIONS)


def test_a_line_of_a_file_cannot_give_it() -> None:
    line = json.dumps({"command": "RecordEncryption", "fields": FIELDS}).encode()
    with pytest.raises(BadInput, match="only the engine itself gives"):
        reader(DECIDERS)(line)


def test_the_terminal_has_no_such_command_also_in_the_engines_place(oms: Any) -> None:
    given = ("encryption", "record", "--previous", "0", "--reached", "9", "--events", "[]", "--checkpoint", "x")
    for system in ((), ("--as-system",)):
        code, out, err = oms(*given, *system)
        assert (code, out) == (Code.USAGE, ""), err
        assert "encryption" in err


def test_no_route_takes_it(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if "encryption" in path]
    assert client.post("/v1/encryption:record", json=FIELDS).status_code == 404
