"""The invented shop: locations, cities, products, and how often each product is bought."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import NamedTuple

from oms_es.schemas.catalog.location import OpenLocation

CURRENCY = "EUR"

SKUS = 400

ZIPF_EXPONENT = 1.0

WEIGHTS: tuple[float, ...] = tuple((rank + 1) ** -ZIPF_EXPONENT for rank in range(SKUS))

WEIGHTS_SO_FAR = tuple(accumulate(WEIGHTS))

CATEGORIES = ("mug", "tea", "lamp", "towel", "knife", "chair", "vase", "rug")

PRICE_MEDIAN_LOG, PRICE_SPREAD, PRICE_MINOR_MIN = 7.4, 0.8, 199

STORE_STOCKS_SHARE = 0.5

SCARCE_RANKS = (11, 17, 24, 32, 41, 59)


class Site(NamedTuple):
    location: OpenLocation
    city: str
    postal_code: str
    share: int
    """The site's share of the stock, relative to the others."""


def _site(kind: str, name: str, city: str, postal_code: str, country: str, at: tuple[float, float], share: int) -> Site:
    opened = OpenLocation.model_validate(
        {
            "location": name,
            "kind": kind,
            "country": country,
            "latitude": at[0],
            "longitude": at[1],
            "handling_minor": 250 if kind == "warehouse" else 350,
        }
    )
    return Site(opened, city, postal_code, share)


WAREHOUSES = (
    _site("warehouse", "rotterdam", "Rotterdam", "3011", "NL", (51.9225, 4.4792), 30),
    _site("warehouse", "leipzig", "Leipzig", "04103", "DE", (51.3397, 12.3731), 30),
    _site("warehouse", "milano", "Milano", "20121", "IT", (45.4642, 9.1900), 20),
)

STORES = (
    _site("store", "paris", "Paris", "75001", "FR", (48.8606, 2.3376), 10),
    _site("store", "wien", "Wien", "1010", "AT", (48.2082, 16.3738), 10),
)


class City(NamedTuple):
    name: str
    country: str
    postal_code: str
    latitude: float
    longitude: float
    weight: int


CITIES = (
    City("Amsterdam", "NL", "1012", 52.3676, 4.9041, 9),
    City("Antwerpen", "BE", "2000", 51.2194, 4.4025, 6),
    City("Barcelona", "ES", "08002", 41.3851, 2.1734, 7),
    City("Berlin", "DE", "10115", 52.5200, 13.4050, 14),
    City("Hamburg", "DE", "20095", 53.5511, 9.9937, 9),
    City("København", "DK", "1050", 55.6761, 12.5683, 5),
    City("Lyon", "FR", "69001", 45.7640, 4.8357, 7),
    City("München", "DE", "80331", 48.1351, 11.5820, 11),
    City("Paris", "FR", "75011", 48.8566, 2.3522, 14),
    City("Praha", "CZ", "110 00", 50.0755, 14.4378, 5),
    City("Roma", "IT", "00184", 41.9028, 12.4964, 8),
    City("Warszawa", "PL", "00-001", 52.2297, 21.0122, 6),
    City("Wien", "AT", "1030", 48.2000, 16.3900, 8),
)

CITY_WEIGHTS = tuple(city.weight for city in CITIES)

CITY_SPREAD_DEGREES = 0.15


class Product(NamedTuple):
    sku: str
    price_minor: int
    sites: tuple[Site, ...]
    scarce: bool


def _product(rank: int) -> Product:
    """Return the product. Two of three warehouses stock it, and about every second store, so that some orders need two
    shipments."""
    chance = Random(f"product/{rank}")
    price = round(chance.lognormvariate(PRICE_MEDIAN_LOG, PRICE_SPREAD) / 100) * 100 - 1
    away = rank % len(WAREHOUSES)
    sites = (
        *(site for i, site in enumerate(WAREHOUSES) if i != away),
        *(s for s in STORES if chance.random() < STORE_STOCKS_SHARE),
    )
    scarce = rank in SCARCE_RANKS
    sku = f"{CATEGORIES[rank % len(CATEGORIES)]}-{rank + 1:04d}"
    return Product(sku, max(price, PRICE_MINOR_MIN), sites[:2] if scarce else sites, scarce)


CATALOGUE = tuple(_product(rank) for rank in range(SKUS))
