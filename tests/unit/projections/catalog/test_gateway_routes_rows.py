"""Every version of the routes has a row, and the one published last is current."""

from __future__ import annotations

from folding import fold, recorded_at
from oms_es.projections.catalog.gateway_routes import projection
from oms_es.schemas.catalog.routes import BUILT_IN_VERSION, GatewayRoutes, GatewayRoutesPublished, PaymentRoute

CARDS = PaymentRoute(gateway="stripe", methods=("card",), countries=("DE",))
TWO = GatewayRoutesPublished(version="2", supersedes=BUILT_IN_VERSION, payments=(CARDS,))
THREE = GatewayRoutesPublished(version="3", supersedes="2")


def test_a_version_is_kept_as_it_was_published() -> None:
    row = fold(projection, TWO)["2",]
    assert (row["current"], row["published_at"], row["published_by"]) == (True, recorded_at(1), "someone")
    assert GatewayRoutes.model_validate(row["routes"]) == GatewayRoutes(payments=(CARDS,))


def test_one_version_is_current_and_the_others_are_kept() -> None:
    again = TWO.model_copy(update={"supersedes": "3"})
    for events, current in (((TWO, THREE), "3"), ((TWO, THREE, again), "2")):
        rows = fold(projection, *events)
        assert [row["version"] for row in rows.values() if row["current"]] == [current]
        assert set(rows) == {("2",), ("3",)}
