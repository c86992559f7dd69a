"""Dead letters are listed, and replayed or discarded: one of them, all of a source, or all of a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from desk_story import OPEN, STOCK, lived, order, shown
from oms_es.exit_codes import Code


@pytest.fixture
def three(oms: Any, tmp_path: Path) -> Any:
    """Make two dead letters of one file, each with another reason, and one of another file."""
    good = order(1).model_dump_json()
    for name, lines in (("a.jsonl", [good, '{"channel": "web"}', "{"]), ("b.jsonl", [good, "{"])):
        file = tmp_path / name
        file.write_text("\n".join(lines))
        assert oms("orders", "import", str(file), "--no-run")[0] == Code.BURIED
    return oms


def sources(oms: Any, *arguments: str) -> list[tuple[str, str]]:
    return [(letter["source"], letter["reason"]) for letter in shown(oms, "dead-letters", "list", *arguments)]


def test_they_are_listed_by_source_by_reason_and_a_page_at_a_time(three: Any) -> None:
    whole = sources(three)
    assert [source for source, _ in whole] == ["import:a.jsonl", "import:a.jsonl", "import:b.jsonl"]
    assert sources(three, "--source", "import:b.jsonl") == whole[2:]
    assert sources(three, "--reason", "not_json") == whole[1:]
    assert sources(three, "--limit", "1", "--after", str(shown(three, "dead-letters", "list")[0]["id"])) == whole[1:2]


def test_a_discarded_one_is_off_the_list_and_kept_with_who_and_why(three: Any) -> None:
    first = shown(three, "dead-letters", "list")[0]["id"]
    assert shown(three, "dead-letters", "discard", str(first), "--because", "a test of theirs") == {
        "discarded": [first]
    }
    assert first not in [letter["id"] for letter in shown(three, "dead-letters", "list")]
    kept = shown(three, "dead-letters", "show", str(first))
    assert (kept["discarded_because"], kept["payload"]) == ("a test of theirs", '{"channel": "web"}')
    assert kept["discarded_by"].startswith("cli")
    assert len(sources(three, "--settled")) == 3
    assert "a test of theirs" in three("dead-letters", "list", "--settled")[1]
    code, out, err = three("dead-letters", "discard", str(first), "--because", "again")
    assert (code, out, "no change" in err) == (Code.OK, "discarded 0\n", True)
    assert shown(three, "dead-letters", "show", str(first))["discarded_because"] == "a test of theirs"


def test_those_of_a_file_or_of_a_reason_are_discarded_together(three: Any) -> None:
    gone = shown(three, "dead-letters", "discard", "--source", "import:a.jsonl", "--because", "wrong file")
    assert (len(gone["discarded"]), sources(three)) == (2, [("import:b.jsonl", "not_json")])
    assert len(shown(three, "dead-letters", "discard", "--reason", "not_json", "--because", "cut")["discarded"]) == 1
    assert sources(three) == []


def test_what_was_discarded_and_comes_again_is_open_again(three: Any, tmp_path: Path) -> None:
    shown(three, "dead-letters", "discard", "--all", "--because", "old")
    assert three("orders", "import", str(tmp_path / "b.jsonl"), "--no-run")[0] == Code.BURIED
    assert sources(three) == [("import:b.jsonl", "not_json")]


def test_those_of_a_source_are_tried_again(three: Any, database_url: str) -> None:
    lived(database_url)
    code, out, _ = three("dead-letters", "replay", "--source", "import:a.jsonl", "--json")
    assert (code, len(json.loads(out)["buried"])) == (Code.BURIED, 2)


@pytest.mark.parametrize("verb", [("replay",), ("discard", "--because", "x")])
def test_which_are_meant_must_be_said(three: Any, verb: tuple[str, ...]) -> None:
    assert three("dead-letters", *verb)[0] == Code.USAGE
    assert three("dead-letters", *verb, "1", "--all")[0] == Code.USAGE
    assert three("dead-letters", *verb, "4711")[0] == Code.NOT_FOUND
    assert three("dead-letters", "discard", "--all", "--because", " ")[0] == Code.USAGE


CARD = "4111111111111111"


def test_one_that_was_masked_cannot_be_replayed_and_stays_where_it_is(oms: Any, tmp_path: Path) -> None:
    """With the mask in the place of the token it would be a valid order that no one can pay."""
    order_of_a_card = {**json.loads(order(1).model_dump_json()), "payment_token": CARD}
    (tmp_path / "card.jsonl").write_text(json.dumps(order_of_a_card))
    assert oms("orders", "import", str(tmp_path / "card.jsonl"), "--no-run", "--anyway")[0] == Code.BURIED
    (letter,) = shown(oms, "dead-letters", "list")
    assert CARD not in json.dumps(letter)
    for _ in range(2):
        code, out, err = oms("dead-letters", "replay", str(letter["id"]))
        assert (code, out) == (Code.BURIED, "accepted 0, still dead letters 1\n")
        assert "cannot be replayed: send it again with the provider's token" in err
    assert len(shown(oms, "dead-letters", "list")) == 1
    assert shown(oms, "orders", "list")["orders"] == []


def test_a_reason_names_an_order_as_people_do(oms: Any, tmp_path: Path, database_url: str) -> None:
    lived(database_url, OPEN, STOCK, order(1))
    (done,) = shown(oms, "orders", "list")["orders"]
    reported = {"type": "AmendOrder", "channel": done["channel"], "external_id": done["external_id"]}
    amended = {**reported, "amendment_id": "late", "shipping_minor": 7}
    (tmp_path / "late.jsonl").write_text(json.dumps(amended))
    assert oms("orders", "import", str(tmp_path / "late.jsonl"), "--no-run", "--anyway")[0] == Code.BURIED
    (letter,) = shown(oms, "dead-letters", "list")
    name = f"{done['channel']}/{done['external_id']}"
    for said in (letter["detail"], oms("dead-letters", "replay", str(letter["id"]))[2]):
        assert name in said
        assert done["order_id"] not in said
