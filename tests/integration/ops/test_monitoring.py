"""The rules and dashboards for Prometheus and Grafana name metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from oms_es.processing import metrics
from repository import ROOT

FOLDER = ROOT / "ops" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = YAML(typ="safe").load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
EVERYWHERE = {"le"}


def served() -> dict[str, set[str]]:
    """Return the labels of each metric that /metrics serves."""
    found: dict[str, set[str]] = {}
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            labels = {*one._labelnames, *EVERYWHERE}
            found |= {f"{one._name}{suffix}": labels for suffix in SUFFIXES[str(one._type)]}
    return found


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_and_label_that_is_named_is_served(where: str, expression: str) -> None:
    names = re.findall(r"\boms_\w+", expression)
    assert names, where
    labels = {label.strip() for part in re.findall(r"\bby \(([^)]*)\)", expression) for label in part.split(",")}
    labels |= set(re.findall(r"(\w+)\s*=~?\s*\"", expression))
    for name in names:
        assert name in served(), f"{where}: nothing serves {name}"
        assert labels <= served()[name], f"{where}: {name} has no {labels - served()[name]}"


def test_what_an_operator_must_see_is_watched() -> None:
    assert served().keys() >= {"oms_lag_messages", "oms_http_seconds_bucket"}
    for watched in (" ".join(rule["expr"] for rule in RULES), json.dumps(DASHBOARD)):
        for one in ("partitions_stopped", "lag_messages", "relay_active", "relay_depth_events", "dead_letters_total"):
            assert f"oms_{one}" in watched
    assert REGISTRY.get_sample_value("oms_relay_active") is not None


def test_what_is_counted_for_the_first_time_is_no_increase_and_is_alerted_on_all_the_same() -> None:
    said = {rule["alert"]: rule["expr"] for rule in RULES}
    assert "oms_dead_letters_total unless oms_dead_letters_total offset" in said["OmsDeadLetters"]
    assert said["OmsNothingRuns"].startswith("absent(")


def test_each_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = {label.strip() for part in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in part.split(",")}
        assert named <= kept, f"{rule['alert']} names labels that its expression does not keep"


def test_panels_have_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above
        assert one["x"] + one["w"] <= 24


@pytest.mark.parametrize("arguments", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_prometheus_takes_the_rules(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there: the rules are read, but not by Prometheus; install it to have them checked")
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
