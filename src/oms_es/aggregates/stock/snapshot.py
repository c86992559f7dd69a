"""Conversion of the state of a stock stream to JSON and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rpds import HashTrieMap

from oms_es.aggregates.stock.quantities import (
    Inbound,
    Memory,
    PhysicalStock,
    Policy,
    Reservation,
    Share,
    Stock,
    StockPlace,
    Supply,
    Units,
)

VERSION = 4
"""Raised with every change of what `dump` writes."""


def dump(stock: Stock) -> Any:
    return {
        **stock._asdict(),
        "reserved": list(stock.reserved.items()),
        "settled": stock.settled.known,
        "of_channels": list(stock.of_channels.items()),
        "holds": list(stock.holds.items()),
        "broken": list(stock.broken.items()),
        "movements": stock.movements.known,
        "physical": {
            **stock.physical._asdict(),
            "places": list(stock.physical.places.items()),
            "serials": list(stock.physical.serials.items()),
        },
        "policy": {**stock.policy._asdict(), "shares": list(stock.policy.shares.items())},
        "supply": {**stock.supply._asdict(), "inbounds": list(stock.supply.inbounds.items())},
    }


def restore(snapshot: Any) -> Stock:
    physical, policy, supply = snapshot["physical"], snapshot["policy"], snapshot["supply"]
    return Stock(
        **{name: snapshot[name] for name in ("promised", "presold", "promises")},
        reserved=HashTrieMap((key, _reservation(kept)) for key, kept in snapshot["reserved"]),
        settled=Memory.restored(snapshot["settled"]),
        of_channels=HashTrieMap(dict(snapshot["of_channels"])),
        holds=HashTrieMap(dict(snapshot["holds"])),
        broken=HashTrieMap((key, _reservation(kept)) for key, kept in snapshot["broken"]),
        movements=Memory.restored(snapshot["movements"]),
        physical=PhysicalStock(
            **{name: physical[name] for name in ("on_hand", "aside")},
            places=HashTrieMap((StockPlace(*place), Units(n, _moment(at))) for place, (n, at) in physical["places"]),
            serials=HashTrieMap((serial, StockPlace(*place)) for serial, place in physical["serials"]),
        ),
        policy=Policy(**{**policy, "shares": HashTrieMap((name, Share(*of)) for name, of in policy["shares"])}),
        supply=Supply(**{**supply, "inbounds": HashTrieMap((key, _inbound(of)) for key, of in supply["inbounds"])}),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _reservation(kept: Any) -> Reservation:
    made = Reservation(*kept)
    return made._replace(expires_at=_moment(kept[2]))


def _inbound(kept: Any) -> Inbound:
    known = Inbound(*kept)
    return known._replace(
        promised_at=datetime.fromisoformat(kept[1]), lot_expires_at=_moment(kept[6]), serials=tuple(known.serials)
    )
