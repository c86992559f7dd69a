"""The map of locations: north is up, names do not overlap, and a location without coordinates is left out."""

from __future__ import annotations

from itertools import pairwise
from math import hypot

from hypothesis import given
from hypothesis import strategies as st

from oms_es.console import maps

BERLIN, PARIS, SUVA, APIA = (52.52, 13.40), (48.86, 2.35), (-18.14, 178.44), (-13.83, -171.76)
DECISION = {
    "assignments": [{"location": "berlin"}],
    "candidates": [{"locations": ["berlin", "paris"]}],
    "ruled_out": {"suva": "is closed"},
}


def at(name: str, place: tuple[float | None, float | None]) -> dict[str, object]:
    return {"location": name, "latitude": place[0], "longitude": place[1]}


def test_each_place_says_what_became_of_it() -> None:
    assert [maps.role_of(name, DECISION) for name in ("berlin", "paris", "suva", "wien")] == [
        *("chosen", "weighed", "ruled-out", "other")
    ]


def test_north_is_above_east_is_right_and_lengths_are_true() -> None:
    made = maps.drawn([at("berlin", BERLIN), at("paris", PARIS)], DECISION, None)
    assert made
    spots = {spot.name: spot for spot in made.spots}
    berlin, paris = spots["berlin"], spots["paris"]
    assert berlin.y < paris.y
    assert berlin.x > paris.x
    km = hypot(berlin.x - paris.x, berlin.y - paris.y) / made.scale * made.scale_km
    assert 850 < km < 910


def test_a_way_leads_to_where_it_goes_from_what_was_chosen_only() -> None:
    made = maps.drawn([at("berlin", BERLIN), at("paris", PARIS)], DECISION, (50.1, 8.7))
    assert made
    assert [(begin.name, end.role) for begin, end in made.ways] == [("berlin", "destination")]


def test_places_on_both_sides_of_the_date_line_are_neighbours() -> None:
    made = maps.drawn([at("suva", SUVA), at("apia", APIA)], {}, None)
    assert made
    spots = {spot.name: spot for spot in made.spots}
    assert spots["apia"].x > spots["suva"].x
    assert made.scale_km < 500


def test_one_place_and_places_without_coordinates_are_no_map() -> None:
    assert maps.drawn([at("berlin", BERLIN), at("paris", (None, 2.0))], DECISION, None) is None


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=2, max_size=60))
def test_whatever_is_where_it_is_drawn_within_and_names_are_apart(places: list[tuple[float, float]]) -> None:
    made = maps.drawn([at(f"place-{number}", place) for number, place in enumerate(places)], {}, None)
    assert made
    assert all(0 <= spot.x <= made.width and 0 <= spot.y <= made.height for spot in made.spots)
    named = sorted(
        (spot.label_y, spot.x) for spot in made.spots if spot.label_y is not None and spot.x == made.spots[0].x
    )
    assert all(below[0] - above[0] >= maps.LABEL_HEIGHT - 0.001 for above, below in pairwise(named))
    assert len([spot for spot in made.spots if spot.label_y is not None]) <= maps.LABELS_MAX
