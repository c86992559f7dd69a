"""SF's dialect of routes: its pushes, and its answers to queries.

Invariant: a route counts once, identified by waybill number, time, code and text: SF sends most of them several times,
and a query gives those again that were pushed. Times are Shanghai's. A push may be about several parcels:
`histories_in` takes it apart, as a command is about one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from oms_es.gateways.carrier.documents import document_of
from oms_es.gateways.carrier.sfexpress.shapes import Shape, text
from oms_es.gateways.carrier.shanghai import ShanghaiTime
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import problems
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.shipment.tracker import SIGHTINGS_MAX, RecordTracking, Sighting
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Identifier

CARRIER = "shunfeng"
"""The name under which parcels of SF's are recorded: kuaidi100's code for it, so that both can follow them."""
STATUSES: Mapping[str, MilestoneStatus] = {
    "50": "picked_up",  # 顺丰已收件
    "51": "picked_up",
    "54": "picked_up",  # 上门收件
    "607": "picked_up",  # 代理收件
    "30": "in_transit",  # 装车
    "31": "in_transit",  # 卸车
    "36": "in_transit",  # 封车
    "105": "in_transit",  # 航空起飞
    "106": "in_transit",  # 航空落地
    "302": "in_transit",
    "305": "in_transit",
    "310": "in_transit",
    "407": "in_transit",
    "501": "in_transit",
    "34": "out_for_delivery",
    "44": "out_for_delivery",  # 正在派送
    "204": "out_for_delivery",
    "634": "out_for_delivery",
    "123": "available_for_pickup",
    "125": "available_for_pickup",  # 丰巢
    "130": "available_for_pickup",
    "642": "available_for_pickup",
    "80": "delivered",  # 签收
    "128": "delivered",  # 客户从丰巢取件
    "658": "delivered",
    "8000": "delivered",
    "33": "exception",  # 待派
    "70": "exception",  # 派件不成功
    "77": "exception",
    "99": "in_transit",  # 转寄
    "631": "return_to_sender",  # 退回
    "648": "return_to_sender",  # 已退回
}
"""Our statuses for SF's operation codes. A code that is not here is recorded as `unknown`."""
REASONS: Mapping[tuple[str, str], MilestoneStatus] = {
    ("99", "2"): "return_to_sender",
    ("33", "83"): "available_for_pickup",
    ("33", "85"): "available_for_pickup",
    ("8000", "6"): "failure",  # lost
    ("8000", "2"): "failure",  # destroyed
}
"""Our statuses for codes whose reason means something else."""
KINDS: Mapping[str, MilestoneStatus] = {
    "1": "picked_up",
    "2": "in_transit",
    "3": "out_for_delivery",
    "4": "delivered",
    "11": "available_for_pickup",
    "13": "exception",
}
"""Our statuses for SF's own (firstStatusCode), which newer accounts get beside the code: they decide where the code is
not known."""

Word = Annotated[str | None, Field(max_length=TEXT_LENGTH_MAX), BeforeValidator(text)]


class Route(Shape):
    acceptTime: ShanghaiTime  # noqa: N815 - its name
    opCode: Annotated[str, Field(max_length=TEXT_LENGTH_MAX), BeforeValidator(text)]  # noqa: N815 - its name
    remark: str | None = None
    acceptAddress: str | None = None  # noqa: N815 - its name
    reasonCode: Word = None  # noqa: N815 - its name
    firstStatusCode: Word = None  # noqa: N815 - its name


class History(Shape):
    """The routes of one number, as a query's answer has them."""

    mailNo: Identifier  # noqa: N815 - its name
    routes: list[Route]


def histories_in(push: Mapping[str, Any]) -> Sequence[bytes]:
    """Return the histories in a push, one for each number, in the form of a query's answer; none if it is no push."""
    body = push.get("Body")
    routes = body.get("WaybillRoute") if isinstance(body, dict) else None
    if not isinstance(routes, list) or not all(isinstance(route, dict) and route.get("mailno") for route in routes):
        return ()
    by_number: dict[str, list[Any]] = {}
    for route in routes:
        by_number.setdefault(str(route["mailno"]), []).append(route)
    return [
        json.dumps({"mailNo": number, "routes": found}, ensure_ascii=False).encode()
        for number, found in by_number.items()
    ]


def parse_routes(payload: bytes) -> Command:
    """Return the command for the routes of a number. Raise Skipped, or BadInput, which names the field."""
    document = document_of(payload, _bad)
    if "Body" in document:
        histories = histories_in(document)
        if len(histories) != 1:
            raise _bad(f"Body.WaybillRoute: it has routes of {len(histories)} numbers, and one is expected")
        document = document_of(histories[0], _bad)
    try:
        history = History.model_validate(document)
        routes = sorted(history.routes, key=lambda route: route.acceptTime)[-SIGHTINGS_MAX:]
        if not routes:
            raise Skipped(f"{history.mailNo}: it has no routes yet")
        seen = {one.milestone_id: one for one in (_sighting(history.mailNo, route) for route in routes)}
        return RecordTracking(carrier=CARRIER, tracking_number=history.mailNo, sightings=tuple(seen.values()))
    except ValidationError as error:
        raise _bad(problems(error, whole="payload")) from error


def _bad(what: str) -> BadInput:
    return BadInput(Input.BAD_TRACKER, f"{what}; send SF's push about one number, or its answer to a query")


def _sighting(number: str, route: Route) -> Sighting:
    words = (route.remark or "").replace("\0", " ")
    content = f"{number}|{route.acceptTime.isoformat()}|{route.opCode}|{words}"
    says = " - ".join(part for part in (words, (route.acceptAddress or "").replace("\0", " ")) if part)
    return Sighting(
        milestone_id=f"sfexpress-{sha256(content.encode()).hexdigest()[:32]}",
        status=_status(route),
        occurred_at=route.acceptTime,
        detail=says[:TEXT_LENGTH_MAX],
        carrier_status="/".join(part for part in (route.opCode, route.reasonCode) if part).replace("\0", " ")[
            :TEXT_LENGTH_MAX
        ],
    )


def _status(route: Route) -> MilestoneStatus:
    by_reason = REASONS.get((route.opCode, route.reasonCode or ""))
    return by_reason or STATUSES.get(route.opCode) or KINDS.get(route.firstStatusCode or "", "unknown")
