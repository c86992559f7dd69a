"""The texts of the console by language; all of them are in the catalogues."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "简体中文"}
DEFAULT = "en"
TAGS: Mapping[str, str] = {"en": "en", "zh": "zh-Hans"}
WEIGHT_OF_NOTHING_SAID = 1.0
ACCEPTED_MAX = 20
CODES: Mapping[str, str] = {
    "kind": "hold",
    "resolution": "resolution",
    "choice": "choice",
    "subject": "choice",
    "to": "choice",
    "paper": "choice",
    **{name: f"code.{name}" for name in ("operation", "waits_for", "why", "status")},
}
"""Parameters of sentences that are codes, with the prefix of their words."""


class Texts(NamedTuple):
    """The texts of one language, by dotted keys."""

    language: str
    entries: Mapping[str, str]

    @property
    def tag(self) -> str:
        return TAGS[self.language]

    def __call__(self, key: str, **values: Any) -> str:
        """Return the text with the values filled in. Raise KeyError: a key that the catalogue lacks is a fault of this
        program."""
        return self.entries[key].format(**values) if values else self.entries[key]

    def coded(self, prefix: str, code: str) -> str:
        """Return the words for a code, or the code itself with spaces."""
        return self.entries.get(f"{prefix}.{code}", code.replace("_", " "))

    def detail(self, exception: Mapping[str, Any]) -> str:
        """Return the detail of an exception, made from its parameters; without a template, the engine's
        English text."""
        template = self.entries.get(f"detail.{exception['says']}")
        if template is None:
            said: str = exception["detail"]
            return said
        return self._sentence(template, exception["parameters"])

    def summary(self, entry: Mapping[str, Any]) -> str:
        """Return the sentence of an entry of a timeline, made from its parameters; without a template, or where
        the entry's event was deleted, the engine's English text."""
        template, parameters = self.entries.get(f"summary.{entry['event']}"), entry.get("parameters")
        if template is None or parameters is None:
            said: str = entry["summary"]
            return said
        return self._sentence(template, parameters)

    def _sentence(self, template: str, parameters: Mapping[str, str]) -> str:
        return template.format(**self._words(parameters)).removesuffix("：")

    def _words(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters with words in the place of codes. What has no words is a person's text, and stays."""
        return {
            name: self.entries.get(f"{CODES[name]}.{value.replace(' ', '_')}", value) if name in CODES else value
            for name, value in parameters.items()
        }

    def need(self, need: Mapping[str, Any], order_id: str) -> str:
        """Return the words for what an order waits for; its parcels are named by their number, as on the page."""
        words = self._words(need["parameters"])
        if "shipment" in words:
            words["shipment"] = words["shipment"].removeprefix(f"{order_id}.")
        return self(f"need.{need['says']}", **words)

    def under(self, prefix: str) -> Mapping[str, str]:
        """Return all words below a prefix, by code."""
        begin = f"{prefix}."
        return {key.removeprefix(begin): text for key, text in self.entries.items() if key.startswith(begin)}


@cache
def texts(language: str) -> Texts:
    source = files("oms_es.console").joinpath("catalogues", f"{language}.toml").read_text("utf-8")
    return Texts(language, dict(_flat("", tomllib.loads(source))))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def language_of(chosen: str | None, accepted: str | None) -> str:
    """Return the language that the person chose, or the browser's first choice that exists here."""
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    wanted = sorted(_weighted(accepted or ""), key=lambda pair: -pair[1])
    return next((name for name, weight in wanted if name in LANGUAGES and weight > 0), DEFAULT)


def _weighted(accepted: str) -> Iterator[tuple[str, float]]:
    for part in accepted.split(",")[:ACCEPTED_MAX]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            yield tag.strip().lower().partition("-")[0], float(weight) if weight else WEIGHT_OF_NOTHING_SAID
        except ValueError:
            continue
