"""A proof proves its claim, and no altered proof is accepted, neither by the product nor by the auditor's single
file.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.proof import proofs, tiles, tree
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import COSIGNATURE, Note, SignerKey
from oms_es.proof.proofs import Older, Proof, ProvedEvent
from oms_es.proof.tiles import Edge
from oms_es.proof.tree import BadProof
from repository import ROOT

CHECKER = ROOT / "ops/audit/check_proof.py"
LOG, WITNESS = SignerKey("log.example", bytes(range(32))), SignerKey("w.example", bytes(range(1, 33)), COSIGNATURE)
OTHER = SignerKey("log.example", bytes(32))
FIELDS = StoredEvent(7, "order-é", 2, "OrderPlaced", b'{"event":{"x":"\xc3\xa9"}}')


def stored(position: int) -> StoredEvent:
    return StoredEvent(2 * position, f"order-{position % 3}", position, "OrderPlaced", b'{"n":"%d"}' % position)


def log_of(size: int) -> Edge:
    edge = Edge()
    for position in range(1, size + 1):
        edge.add(tree.leaf_hash(stored(position).entry))
    return edge


def signed(size: int, key: SignerKey = LOG) -> str:
    text = Checkpoint("log.example", size, log_of(size).root()).text
    return str(Note(text, (key.sign(text), WITNESS.sign(text, 1_750_000_000))))


def made(size: int, chosen: list[int], older: int | None = None) -> Proof:
    node = tiles.nodes_of(log_of(size).tiles())
    events = [ProvedEvent(stored(i + 1), i, tree.inclusion_path(i, size, node)) for i in chosen]
    before = None if older is None else Older(signed(older), tree.consistency_path(older, size, node))
    return Proof("order W-1", signed(size), events, before)


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = spec_from_file_location("check_proof", CHECKER)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def taken_by_checker(checker: ModuleType, found: Any, keys: list[str], witnesses: list[str]) -> bool:
    try:
        checker.check(found, [checker.key_of(key) for key in keys], [checker.key_of(key) for key in witnesses])
    except (KeyError, TypeError, AttributeError, ValueError, checker.struct.error):
        return False
    return True


def taken_by_product(found: Any, keys: list[SignerKey], witnesses: list[SignerKey]) -> bool:
    try:
        proofs.check(
            proofs.read(json.dumps(found)), [key.verifier for key in keys], [witness.verifier for witness in witnesses]
        )
    except BadProof:
        return False
    return True


def test_an_entry_is_this_to_the_byte() -> None:
    assert FIELDS.entry.hex() == (
        "6f6d732d65732f6576656e742f76310a" "0000000000000007" "0000000000000002"
        "68e4a0fdff8d150654e892b09ba589c90ee901ada36b5fb5bee232ed99c99cca" "0000000b"
        "4f72646572506c61636564" "6f726465722dc3a9"
    )  # fmt: skip


TEXTS = st.text(alphabet="ab\n\x00é", max_size=4)
EVENTS = st.builds(StoredEvent, st.integers(0, 2), TEXTS, st.integers(0, 2), TEXTS, st.binary(max_size=1))


@given(EVENTS, EVENTS)
def test_two_events_that_differ_in_anything_have_two_entries(one: StoredEvent, other: StoredEvent) -> None:
    assert (one.entry == other.entry) is (one == other)


def test_a_proof_shows_its_events_and_that_it_continues_an_older_checkpoint() -> None:
    proof = made(300, [0, 3, 299], older=256)
    assert proofs.read(proofs.written(proof)) == proof
    checked = proofs.check(proof, [LOG.verifier], [WITNESS.verifier])
    assert [event.position for event in checked.events] == [2, 8, 600]
    assert checked.checkpoint.size == 300
    assert checked.older
    assert checked.older.size == 256


def changed_everywhere(found: Any) -> Iterator[tuple[str, Any]]:
    """The file with one value changed, for every value in it; with one left out, or twice, for every list."""

    def at(keys: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
        copied = copy.deepcopy(found)
        inner = copied
        for key in keys[:-1]:
            inner = inner[key]
        change(inner, keys[-1])
        return copied

    def put(value: Any, inner: Any, key: Any) -> None:
        inner[key] = value

    def walk(value: Any, keys: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*keys, key))
        elif isinstance(value, list):
            yield f"{keys} reversed", at(keys, partial(put, [*value[::-1], "AA=="]))
            for index, inner in enumerate(value):
                yield f"{keys} doubled", at((*keys, index), lambda held, key: held.insert(key, held[key]))
                yield from walk(inner, (*keys, index))
        elif isinstance(value, int):
            for other in (value + 1, -value - 1, None, str(value)):
                yield f"{keys} {other}", at(keys, partial(put, other))
        else:
            middle = len(value) // 2
            other = value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :]
            yield f"{keys} {other}", at(keys, partial(put, other))

    yield from walk(found, ())


def test_whatever_is_changed_in_a_proof_it_shows_nothing_to_either_program(checker: ModuleType) -> None:
    found = json.loads(proofs.written(made(300, [0, 3, 299], older=256)))
    keys, witnesses = [str(LOG.verifier)], [str(WITNESS.verifier)]
    assert taken_by_checker(checker, found, keys, witnesses)
    assert taken_by_product(found, [LOG], [WITNESS])
    del found["subject"], found["events"][2]["path"][4:], found["events"][2]["index"]
    found = json.loads(proofs.written(made(20, [0, 3], older=7)))
    tried = [(what, one) for what, one in changed_everywhere(found) if not what.startswith("('subject'")]
    assert len(tried) > 60
    for what, one in tried:
        assert not taken_by_product(one, [LOG], [WITNESS]), what
        assert not taken_by_checker(checker, one, keys, witnesses), what


@pytest.mark.parametrize(
    ("size", "chosen", "older"), [(1, [0], 0), (1, [0], 1), (2, [1], 1), (7, [0, 6], 4), (5, [], 3)]
)
def test_both_programs_take_what_is_so(checker: ModuleType, size: int, chosen: list[int], older: int) -> None:
    found = json.loads(proofs.written(made(size, chosen, older)))
    assert taken_by_product(found, [OTHER, LOG], [WITNESS])
    assert taken_by_checker(checker, found, [str(OTHER.verifier), str(LOG.verifier)], [str(WITNESS.verifier)])


def test_both_programs_believe_only_the_keys_that_they_are_given(checker: ModuleType) -> None:
    found = json.loads(proofs.written(made(7, [2], 4)))
    for keys, witnesses in (([OTHER], []), ([WITNESS], [OTHER]), ([LOG], [OTHER])):
        assert not taken_by_product(found, keys, witnesses)
        texts = [str(key.verifier) for key in keys], [str(witness.verifier) for witness in witnesses]
        assert not taken_by_checker(checker, found, *texts)


def test_the_auditors_file_is_short_needs_nothing_and_says_what_it_found(tmp_path: Path) -> None:
    assert len(CHECKER.read_text().splitlines()) < 200
    file = tmp_path / "proof.json"
    file.write_text(proofs.written(made(7, [2], 4)))
    command = [sys.executable, "-I", "-S", str(CHECKER), str(file)]
    good = subprocess.run([*command, "--key", str(LOG.verifier)], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert "1 events are in the log of 7 events" in good.stdout
    bad = subprocess.run([*command, "--key", str(OTHER.verifier)], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (6, "")
    assert "NOT PROVED" in bad.stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"format":1}', "[" * 100_000, '{"format": "a", "format": "b"}']
)
def test_what_is_no_proof_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadProof):
        proofs.read(text)
