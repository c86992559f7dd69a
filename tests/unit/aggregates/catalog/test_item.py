"""An item is as it was last described, and a bundle never contains itself."""

from __future__ import annotations

from dsl import Given
from oms_es.aggregates.catalog.item import decider
from oms_es.schemas.catalog import item as i

TEA = i.DescribeItem(sku="TEA", name="Tea", weight_grams=250, volume_ml=900)
IS_TEA = i.ItemDescribed(sku="TEA", name="Tea", weight_grams=250, volume_ml=900, serial_tracked=False)
SET = i.DefineBundle(sku="SET", components={"TEA": 2, "MUG": 1})
IS_SET = i.BundleDefined(sku="SET", components={"TEA": 2, "MUG": 1})


def test_an_item_is_described_and_described_again() -> None:
    Given(decider).when(TEA).then(IS_TEA)
    Given(decider, IS_TEA).when(TEA).then()
    heavier = IS_TEA.model_copy(update={"weight_grams": 260})
    Given(decider, IS_TEA).when(TEA.model_copy(update={"weight_grams": 260})).then(heavier)
    Given(decider, IS_TEA, heavier).when(TEA).then(IS_TEA)


def test_a_bundle_is_defined_and_taken_apart() -> None:
    Given(decider).when(SET).then(IS_SET)
    Given(decider, IS_SET).when(SET).then()
    plain = i.DefineBundle(sku="SET", components={})
    Given(decider).when(plain).then()
    Given(decider, IS_SET).when(plain).then(i.BundleDefined(sku="SET", components={}))


def test_a_bundle_is_not_made_of_itself() -> None:
    Given(decider).when(i.DefineBundle(sku="SET", components={"SET": 1})).then_refused("made_of_itself")
