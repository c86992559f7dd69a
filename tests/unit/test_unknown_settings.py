"""A variable that is called nearly as a setting is named, with the setting; its value is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from oms_es.cli.terminal import set_up
from oms_es.cli.unknown_settings import misspelt
from oms_es.settings import Settings
from repository import ROOT

NAMES = [f"OMS_{field.upper()}" for field in Settings.model_fields]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("OMS_DATABSE_URL", "OMS_DATABASE_URL"),
        ("OMS_DATABASEURL", "OMS_DATABASE_URL"),
        ("OMS_WAREHOUSE_FOLDERS", "OMS_WAREHOUSE_FOLDER"),
        ("oms_gateway", "OMS_GATEWAYS"),
        ("OMS_STRIPE_APIKEY", "OMS_STRIPE_API_KEY"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_nearest(name: str, nearest: str) -> None:
    assert [tuple(one) for one in misspelt([name, "PATH"])] == [(name, nearest)]


def test_a_setting_less_any_character_is_found() -> None:
    assert not list(misspelt([*NAMES, *map(str.lower, NAMES)]))
    shorter = [name[:place] + name[place + 1 :] for name in NAMES for place in range(4, len(name))]
    unknown = {name for name in shorter if name not in NAMES}
    assert {one.name for one in misspelt(unknown)} == unknown


def test_what_others_read_is_not_taken_for_a_setting() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    YAML(typ="safe").load(compose)
    others = [name for name in ("OMS_DATABASE_PASSWORD", "OMS_DOMAIN") if name in compose]
    assert not list(misspelt([*others, "OMS_TEST_KAFKA", "OMS_SOMETHING_ELSE_ENTIRELY"]))


def test_a_command_says_so_without_the_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OMS_HOME", str(tmp_path))
    monkeypatch.setenv("OMS_STRIPE_APIKEY", "sk_live_secret")
    set_up()
    said = capsys.readouterr().err
    assert "OMS_STRIPE_API_KEY" in said
    assert "OMS_STRIPE_APIKEY" in said
    assert "secret" not in said
