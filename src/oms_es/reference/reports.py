"""The reference of reports: the built-in ones, and the words of a definition."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.reference.pages import page, table
from oms_es.reports.figures import definition
from oms_es.reports.figures.sources import OF_TIME, SOURCES, Source


def reports() -> str:
    listed = [(f"`{one.name}`", one.about, f"`{one.source}`") for one in definition.built_in().values()]
    parts = [table("report, says, source", listed), *(_described(name, one) for name, one in SOURCES.items())]
    grains = ", ".join(definition.GRAINS)
    parts_of_time = " and ".join(f"`{word}` (`{values[0]}` to `{values[-1]}`)" for word, values in OF_TIME.items())
    said = (
        "The reports that `oms-es report run` and `GET /v1/reports/…` have, and the sources that definitions of your "
        f"own are made of ([how](../howto/report.md)). Each source also has the dimensions {grains}, of its time, and "
        f"{parts_of_time}. Amounts are minor units, and stand apart by currency."
    )
    return page("Reports", said, "\n".join(parts))


def _described(name: str, one: Source) -> str:
    facts = ", ".join(f"[`{read}`](read-models.md#{read})" for read in one.tables_for(one.words))
    return f"## {name}\n\n{one.about} Made of {facts}.\n\n{table('word, is a, says', list(_words(one)))}"


def _words(one: Source) -> Iterator[tuple[str, str, str]]:
    for word in one.dimensions:
        yield f"`{word}`", "dimension", ", ".join(f"`{value}`" for value in one.values_of(word))
    for word, number in one.numbers.items():
        yield f"`{word}`", f"number of {number.unit}", number.says
    for place, word in enumerate(one.times):
        yield f"`{word}`", "time", "" if place else "if nothing else is said"
