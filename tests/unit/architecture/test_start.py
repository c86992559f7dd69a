"""A command starts quickly: modules are imported only when they are needed."""

from __future__ import annotations

import subprocess
import sys

from oms_es.app import DECIDERS
from oms_es.app.verbs import verbs
from oms_es.attribute_docs import attribute_docs
from oms_es.cli.main import app  # noqa: F401 - by it all commands are found
from oms_es.cli.places import COMMANDS, ENTITIES
from oms_es.kernel import Event, Message

HEAVY = {"sqlalchemy", "psycopg", "kafka", "oms_es.app", "oms_es.simulation", "oms_es.http"}


class Described(Event):
    """Of something."""

    first: int
    """How many."""
    second: str = ""
    third: str = ""
    """In two
    lines."""


class More(Described):
    first: int
    """How many more."""


def test_what_stands_below_an_attribute_describes_it_and_what_does_not_is_not_made_up() -> None:
    assert attribute_docs(Described) == {"first": "How many.", "third": "In two\nlines.", **attribute_docs(Event)}
    assert attribute_docs(More)["first"] == "How many more."
    assert attribute_docs(More)["third"] == "In two\nlines."
    properties = Described.model_json_schema()["properties"]
    assert [one.get("description") for one in properties.values()] == ["How many.", None, "In two\nlines."]
    assert attribute_docs(type("Made", (Message,), {"__annotations__": {}})) == attribute_docs(Message)


def test_every_entity_of_the_vocabulary_is_a_group_of_commands() -> None:
    assert set(ENTITIES) == {verb.group for verb in verbs(DECIDERS)} - {"exceptions"}
    assert set(ENTITIES) <= set(COMMANDS)


def test_what_a_command_does_not_need_is_not_imported() -> None:
    asked = "import sys; from oms_es.cli.main import main; main(['--help-me-not']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
