"""An item is shown as it was last reported, described or not."""

from __future__ import annotations

from folding import fold
from oms_es.projections.catalog.items import projection
from oms_es.schemas.catalog.item import BundleDefined, ItemDescribed

TEA = ItemDescribed(sku="TEA", name="Tea", category="Drinks", weight_grams=250, volume_ml=900, serial_tracked=True)


def test_what_was_sent_last_holds() -> None:
    rows = fold(projection, TEA, TEA.model_copy(update={"weight_grams": 260}))
    reported = {"sku": "TEA", "name": "Tea", "category": "Drinks", "weight_grams": 260, "volume_ml": 900}
    assert rows == {("TEA",): {**reported, "serial_tracked": True, "components": {}}}


def test_a_bundle_may_come_before_its_description_and_keeps_its_components() -> None:
    bundle = BundleDefined(sku="TEA", components={"LEAF": 2})
    assert fold(projection, bundle)["TEA",]["weight_grams"] == 0
    assert fold(projection, bundle, TEA) == fold(projection, TEA, bundle)
    assert fold(projection, bundle, TEA)["TEA",]["components"] == {"LEAF": 2}
