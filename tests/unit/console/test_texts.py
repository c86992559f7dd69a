"""The catalogues: every text in every language, and every text that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter

import pytest

import oms_es.console
from oms_es.app import DECIDERS
from oms_es.app.verbs import is_for_the_engine, verbs
from oms_es.console import forms
from oms_es.console.pages.commands import catalogue, fields_of
from oms_es.console.pages.inbox import OPERATOR, PEOPLE
from oms_es.console.settling import HELD
from oms_es.console.texts import LANGUAGES, Texts, language_of, texts
from oms_es.console.visits import PLACES
from oms_es.http.access import SYSTEM
from oms_es.projections.operations.exception_keys import HOLD_KINDS
from oms_es.projections.operations.exception_sentences import TEMPLATES
from oms_es.projections.order import timeline_sentences
from oms_es.reports.needs import WORDS
from oms_es.reports.order_list import PHASES
from oms_es.schemas import order as o

SOURCE = Path(oms_es.console.__file__).parent
ASKED = re.compile(r"""\bt\(["']([a-z_.]+[a-z_])["']""")
KINDS = re.compile(r"""key_of_exception\("(\w+)"|f"(\w+)/\{|\(\("(\w+)", event""")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SAME_IN_BOTH = {"SKU"}
OF_THE_ENGINE = ("detail.", "summary.", "code.")


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def said_here(language: str) -> dict[str, str]:
    """Return all texts but those of sentences that the engine writes in English itself."""
    return {key: text for key, text in texts(language).entries.items() if not key.startswith(OF_THE_ENGINE)}


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_what_an_exception_says_is_made_of_the_same_parameters_in_every_other_language(language: str) -> None:
    details = texts(language).under("detail")
    assert {code: names_in(text) for code, text in details.items()} == {
        code: names_in(text) for code, text in TEMPLATES.items()
    }
    spoken = {"kind": "address", "note": "which floor?"}
    row = {"says": "OrderHeld", "parameters": spoken, "detail": "held, address: which floor?"}
    assert texts("en").detail(row) == row["detail"]
    assert texts("zh").detail(row) == "已冻结（地址）：which floor?"
    assert texts("zh").detail({**row, "parameters": {**spoken, "note": ""}}) == "已冻结（地址）"


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_an_entry_of_a_timeline_is_made_of_the_same_parameters_in_every_other_language(language: str) -> None:
    summaries = texts(language).under("summary")
    assert {event: names_in(text) for event, text in summaries.items()} == {
        event.__name__: names_in(text) for event, text in timeline_sentences.TEMPLATES.items()
    }


def test_the_codes_in_a_sentence_have_words_and_what_a_person_wrote_stays() -> None:
    lost = o.OrderShipmentLost(
        order_id="1", shipment_id="1.1", items=(), lines=(), complete=True, choice="reship", reason="sh_1, 丢"
    )
    entry = {
        "event": "OrderShipmentLost",
        "parameters": timeline_sentences.parameters_of(lost),
        "summary": timeline_sentences.sentence_of(lost),
    }
    assert texts("en").summary(entry) == "1.1 lost, reship: sh_1, 丢"
    assert texts("zh").summary(entry) == "1.1 丢失，补发：sh_1, 丢"
    assert texts("zh").summary({**entry, "parameters": None}) == entry["summary"], "its event was deleted"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_names_in_them(language: str) -> None:
    first, other = texts("en").entries, said_here(language)
    assert other.keys() == first.keys()
    assert {key for key in first if names_in(first[key]) != names_in(other[key])} == set()
    assert all(text.strip() == text and text for text in other.values())


def test_chinese_is_chinese() -> None:
    assert [
        key for key, text in texts("zh").entries.items() if not CHINESE.search(text) and text not in SAME_IN_BOTH
    ] == []


def test_every_text_that_a_template_asks_for_is_there_and_none_stands_for_nothing() -> None:
    templates = "".join(path.read_text() for path in (SOURCE / "templates").rglob("*.*"))
    asked = set(ASKED.findall(templates))
    assert len(asked) > 100
    assert asked - texts("en").entries.keys() == set()
    by_code = re.compile(
        r"^(status|phase|hold|fact|charge|group|kind|advice|need|party|resolution|grade|disposition|part|bulk|grain|comparison|verb|why\.event|why\.role|stock\.count|returns\.status|shipping\.status|nav|orders|stock|setup|column|finance\.(?:outcome|status|break|age|rule|line_kind|match_of|resolved)|accounts\.(?:kind|condition)|verify\.state|field|choice|age|lane|measure|low\.whose|privacy\.reason)\."
    )
    unused = {key for key in texts("en").entries if key not in asked and not by_code.match(key)}
    assert unused == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_a_code_has_words_in_every_language(language: str) -> None:
    given = verbs(DECIDERS)
    mine = [(verb.group, verb.name) for verb in given if not is_for_the_engine(verb.command)]
    source = (SOURCE.parent / "projections" / "operations").glob("*exception*s.py")
    kinds = {next(filter(None, found)) for path in source for found in KINDS.findall(path.read_text())} - {"held_"}
    assert len(kinds) > 30
    wanted = {f"verb.{group}.{name}" for group, name in mine} | {f"group.{group}" for group, _ in mine}
    wanted |= {f"phase.{phase}" for phase in PHASES} | {f"hold.{kind}" for kind in HOLD_KINDS}
    wanted |= {f"kind.{kind}" for kind in kinds} | {f"kind.held_{kind}" for kind in HOLD_KINDS}
    wanted |= {f"advice.{kind}" for kind in {*kinds, HELD}}
    wanted |= {f"need.{code}" for code in WORDS} | {f"party.{words.acts}" for words in WORDS.values()}
    wanted |= {f"party.{role}" for role in (OPERATOR, *PEOPLE)}
    wanted |= {f"nav.{place.key}" for place in PLACES}
    assert wanted - texts(language).entries.keys() == set()


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, None, "en"),
        ("zh", "en", "zh"),
        ("xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de,en;q=0.5,zh;q=0.4", "en"),
        (None, "zh;q=0, de", "en"),
        (None, "zh;q=much", "en"),
        (None, "," * 10_000, "en"),
    ],
)
def test_the_language_is_what_was_chosen_or_the_first_that_we_have(
    chosen: str | None, accepted: str | None, language: str
) -> None:
    assert language_of(chosen, accepted) == language


def test_a_code_without_words_is_shown_as_words() -> None:
    assert Texts("en", {"kind.a": "A"}).coded("kind", "a") == "A"
    assert Texts("en", {}).coded("kind", "some_kind") == "some kind"


def named_in(fields: Iterable[forms.Field]) -> Iterator[forms.Field]:
    for field in fields:
        yield field
        yield from named_in(field.parts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_a_form_and_every_choice_has_words_in_every_language(language: str) -> None:
    mine = [command for command in catalogue().values() if command.route.scope != SYSTEM]
    fields = [field for command in mine for field in named_in(fields_of(command))]
    assert len(fields) > 300
    wanted = {f"field.{field.name}" for field in fields}
    wanted |= {f"choice.{choice}" for field in fields if field.kind == "choice" for choice in field.choices}
    entries = texts(language).entries.keys()
    assert wanted - entries == set()
    given = {key for key in entries if key.startswith("field.")}
    assert given - wanted == set(), "these are of no field any more"
