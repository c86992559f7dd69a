"""The reference pages list everything that exists, each entry with its meaning."""

from __future__ import annotations

import re

import pytest

from oms_es.app import PROJECTIONS
from oms_es.app.workers import ROLES
from oms_es.cli import main as cli
from oms_es.exit_codes import MEANINGS, Code
from oms_es.reference import pages, read_models
from oms_es.reference.json_schemas import messages
from oms_es.settings import Settings


def cells(page: str) -> dict[str, list[str]]:
    """Return the rows of a page's tables by their first cell."""
    rows = [re.split(r"(?<!\\) \| ", line.strip("| \n")) for line in page.splitlines() if line.startswith("| ")]
    return {row[0].strip("`"): row for row in rows}


def test_every_setting_says_what_it_means() -> None:
    rows = cells(pages.settings())
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} needs a description"
        assert field.description in rows[f"OMS_{name.upper()}"][-1]
    assert rows["OMS_POLL_SECONDS"][1:3] == ["seconds", "`1.0`"]
    assert rows["OMS_LOG_STYLE"][1] == "`json`, `console`"


def test_no_secret_has_a_default_that_is_shown() -> None:
    assert cells(pages.settings())["OMS_KAFKA_SASL_PASSWORD"][1:3] == ["secret text", ""]


def test_metrics_have_the_names_under_which_they_are_scraped() -> None:
    rows = cells(pages.metrics_page())
    assert rows["oms_lag_messages"][1:3] == ["gauge", "`role`, `place`"]
    assert rows["oms_dead_letters_total"][1] == "counter"
    assert rows["oms_batch_seconds"][1] == "histogram"


@pytest.mark.parametrize("code", Code)
def test_every_exit_code_has_a_meaning_and_its_failures(code: Code) -> None:
    row = cells(pages.exit_codes())[str(code.value)]
    assert row[1:3] == [code.name, MEANINGS[code]]
    of_this = [error for error in pages.errors() if error.exit_code is code]
    assert all(f"`{error.code}`: " in row[3] for error in of_this)


def test_every_command_is_there_and_none_is_cut_short() -> None:
    found = pages.commands(cli.app)
    page = found["commands.md"]
    for command in ("run", "worker"):
        assert f"## `oms-es {command}`" in page
    for command in ("orders import", "dead-letters replay", "reference check"):
        group = command.partition(" ")[0]
        assert f"(commands/{group}.md)" in page
        assert f"## `oms-es {command}`" in found[f"commands/{group}.md"]
    assert "* `worker`: Run some roles on Kafka until SIGTERM or SIGINT, beside any number of others.\n" in page


def test_every_role_and_every_message_is_there() -> None:
    assert set(ROLES) <= set(cells(pages.roles()))
    assert {f"[{m.name}](schemas/{m.name}.json)" for m in messages()} <= set(cells(pages.message_index(messages())))


def test_the_data_dictionary_has_every_read_model_with_its_purpose_and_every_column() -> None:
    sections = dict(part.split("\n\n", 1) for part in read_models.read_models().split("\n## ")[1:])
    assert set(sections) == {projection.name for projection in PROJECTIONS}
    for projection in PROJECTIONS:
        purpose, _, columns = sections[projection.name].partition("\n\n")
        assert purpose.endswith("."), projection.name
        assert set(cells(columns)) - {"column", "---"} == {column.name for column in projection.table.columns}


def test_the_data_dictionary_says_units_and_joins() -> None:
    payments = cells(read_models.read_models().partition("\n## payments\n")[2].partition("\n## ")[0])
    assert payments["captured_minor"][3] == "minor units of the currency"
    assert payments["order_id"][4] == "`order_status`"
    shipped = cells(read_models.read_models().partition("\n## inbounds\n")[2].partition("\n## ")[0])
    assert shipped["quantity"][3:] == ["units", "", "units that have not come yet"]
    assert shipped["from_location"][4] == "`locations.location`"
    assert shipped["request_id"][4] == "`replenishments`, with sku and location"


def test_every_column_has_a_meaning_and_every_meaning_a_column() -> None:
    tables = {projection.name: projection.table for projection in PROJECTIONS}
    columns = [(one.name, column.name) for one in tables.values() for column in one.columns]
    assert [named for named in columns if not read_models.meaning_of(*named)] == []
    of_any = {column for name, column in columns if column not in read_models.meanings().get(name, {})}
    for name, meanings in read_models.meanings().items():
        assert set(meanings) <= (of_any if name == "every" else set(tables[name].columns.keys())), name


def test_every_join_of_the_data_dictionary_leads_to_a_column() -> None:
    tables = {projection.name: projection.table for projection in PROJECTIONS}
    joined = [
        (one, column.name, read_models.join_of(one, column.name)) for one in tables.values() for column in one.columns
    ]
    for one, name, join in joined:
        if join:
            of_both = [*filter(None, join.also.split(" and "))]
            assert (join.column or name) in tables[join.table].columns, f"{one.name}.{name}"
            assert set(of_both) <= set(one.columns.keys()) & set(tables[join.table].columns.keys()), (
                f"{one.name}.{name}"
            )
