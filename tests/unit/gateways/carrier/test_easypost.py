"""EasyPost's trackers, as its own examples write them, become our tracking events."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oms_es.gateways.carrier.easypost.dialect import SKIPPED, STATUSES, parse_tracker
from oms_es.kernel import BadInput, Skipped
from oms_es.schemas.shipment.tracker import RecordTracking
from repository import ROOT

REAL = Path(os.environ.get("OMS_REAL_PAYLOADS") or ROOT.parent / "shared" / "real-payloads")
TRACKER: dict[str, Any] = {
    "object": "Tracker",
    "carrier": "ACME",
    "tracking_code": "T1",
    "status": "in_transit",
    "updated_at": "2026-01-02T00:00:00Z",
    "tracking_details": [
        {"status": "pre_transit", "message": "label made", "datetime": "2026-01-01T00:00:00Z"},
        {
            "status": "in_transit",
            "status_detail": "damaged",
            "datetime": "2026-01-02T00:00:00Z",
            "tracking_location": {"city": "Ulm", "state": None, "country": "DE"},
        },
    ],
}


def reported(content: dict[str, Any]) -> RecordTracking:
    command = parse_tracker(json.dumps(content).encode())
    assert isinstance(command, RecordTracking)
    return command


def example(name: str) -> dict[str, Any]:
    path = REAL / "easypost" / name
    if not path.exists():
        pytest.skip(f"no real payload at {path}: set OMS_REAL_PAYLOADS to their folder")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_line_of_the_history_is_a_tracking_event_with_its_place_and_its_own_words() -> None:
    command = reported(TRACKER)
    assert (command.carrier, command.tracking_number) == ("acme", "T1")
    label, damage = command.sightings
    assert (label.status, label.carrier_status, label.detail) == ("pre_transit", "pre_transit", "label made")
    assert (damage.status, damage.carrier_status, damage.detail) == ("exception", "in_transit/damaged", "Ulm, DE")


def test_the_same_history_sent_again_has_the_same_ids_and_another_number_has_others() -> None:
    assert reported(TRACKER) == reported(TRACKER)
    ids = {sight.milestone_id for sight in reported(TRACKER).sightings}
    assert ids.isdisjoint(sight.milestone_id for sight in reported({**TRACKER, "tracking_code": "T2"}).sightings)


def test_words_that_are_not_known_are_kept() -> None:
    command = reported({**TRACKER, "status": "beamed_up", "tracking_details": []})
    assert [(sight.status, sight.carrier_status) for sight in command.sightings] == [("unknown", "beamed_up")]


@pytest.mark.parametrize("payload", [b"{", b"{}", b'{"object": "Event", "description": "x", "result": {}}'])
def test_what_is_no_tracker_is_refused_with_what_to_do(payload: bytes) -> None:
    with pytest.raises(BadInput, match=r"bad_tracker: .*; send a tracker\.updated event or a tracker"):
        parse_tracker(payload)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("carrier", None),
        ("tracking_code", ""),
        ("tracking_code", "T" * 129),
        ("updated_at", "2026-01-02T00:00:00"),
        ("tracking_details.1.datetime", None),
        ("tracking_details.0.status", 7),
        ("tracking_details.1.tracking_location", "Ulm"),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_the_reason_names_the_field(place: str, value: object, *, wrapped: bool) -> None:
    content = json.loads(json.dumps(TRACKER))
    *path, last = place.split(".")
    inner = content
    for part in path:
        inner = inner[int(part)] if part.isdigit() else inner[part]
    inner[last] = value
    whole = {"object": "Event", "description": "tracker.updated", "result": content} if wrapped else content
    with pytest.raises(BadInput) as refused:
        parse_tracker(json.dumps(whole).encode())
    assert refused.value.detail.startswith(f"result.{place}: " if wrapped else f"{place}: ")


@pytest.mark.parametrize("kind", sorted(SKIPPED))
def test_what_says_nothing_of_a_parcel_is_skipped(kind: str) -> None:
    event = {"object": "Event", "description": kind, "result": {"object": "Batch", "id": "batch_1"}}
    with pytest.raises(Skipped, match=kind):
        parse_tracker(json.dumps(event).encode())
    with pytest.raises(BadInput, match=r"result.object"):
        parse_tracker(json.dumps({**event, "description": "pickup.unheard_of"}).encode())


def test_the_delivered_example_is_read_line_by_line() -> None:
    content = example("tracking-webhook.json")
    command = reported(content)
    details = content["result"]["tracking_details"]
    assert len(command.sightings) == len(details)
    assert Counter(sight.status for sight in command.sightings) == Counter(STATUSES[d["status"]] for d in details)
    assert "delivered" in {sight.status for sight in command.sightings}


@pytest.mark.parametrize("name", ["event-body.json", "tracker.json"])
def test_the_other_examples_are_read_whole(name: str) -> None:
    content = example(name)
    tracker = content.get("result", content)
    command = reported(content)
    assert command.carrier == tracker["carrier"].lower()
    assert [sight.carrier_status for sight in command.sightings] == [
        f"{detail['status']}/{detail['status_detail']}" for detail in tracker["tracking_details"]
    ]


def test_a_bought_shipment_holds_a_tracker_that_is_read_too() -> None:
    command = reported(example("shipment-bought.json")["tracker"])
    assert [sight.status for sight in command.sightings] == ["unknown"]
