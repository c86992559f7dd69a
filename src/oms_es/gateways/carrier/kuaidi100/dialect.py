"""Kuaidi100's dialect of tracking: its pushes, and its answers to queries.

Invariant: each message has the whole history of a number. An entry is identified by carrier, number, time and text;
therefore a repeated history adds only what is new. Times without a zone are Shanghai's. A parcel that came back, or
that the customer refused, is not delivered, although kuaidi100 has finished with it, too. A number keeps the carrier
that it was booked with, also if kuaidi100 detects another carrier and continues under that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from oms_es.gateways.carrier.documents import document_of
from oms_es.gateways.carrier.shanghai import ShanghaiTime
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import problems
from oms_es.schemas.shipment import MilestoneStatus
from oms_es.schemas.shipment.tracker import SIGHTINGS_MAX, RecordTracking, Sighting
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Identifier

STATES: dict[str, MilestoneStatus] = {
    "0": "in_transit",  # 在途
    "1": "picked_up",  # 揽收
    "101": "pre_transit",  # 已下单
    "102": "pre_transit",  # 待揽收
    "103": "picked_up",  # 已揽收
    "1001": "in_transit",  # 到达派件城市
    "1002": "in_transit",  # 干线
    "1003": "in_transit",  # 转递
    "2": "exception",  # 疑难
    "201": "exception",  # 超时未签收
    "202": "exception",  # 超时未更新
    "203": "exception",  # 拒收
    "204": "exception",  # 派件异常
    "205": "exception",  # 柜或驿站超时未取
    "206": "exception",  # 无法联系
    "207": "exception",  # 超区
    "208": "exception",  # 滞留
    "209": "exception",  # 破损
    "210": "exception",  # 销单
    "3": "delivered",  # 签收
    "301": "delivered",  # 本人签收
    "302": "delivered",  # 派件异常后签收
    "303": "delivered",  # 代签
    "304": "delivered",  # 投柜或站签收
    "4": "returned",  # 退签: the sender has signed for it
    "401": "cancelled",  # 已销单
    "5": "out_for_delivery",  # 派件
    "501": "available_for_pickup",  # 投柜或驿站
    "6": "return_to_sender",  # 退回: on its way back
    "7": "in_transit",  # 转投: to another carrier
    "8": "in_transit",  # 清关
    "10": "in_transit",  # 待清关
    "11": "in_transit",  # 清关中
    "12": "in_transit",  # 已清关
    "13": "exception",  # 清关异常
    "14": "exception",  # 拒签: the customer would not take it
}
"""Our statuses for kuaidi100's state numbers, plain and detailed. A number that is not here is recorded as
`unknown`."""
WORDS: dict[str, MilestoneStatus] = {
    "在途": "in_transit",
    "揽收": "picked_up",
    "疑难": "exception",
    "签收": "delivered",
    "退签": "returned",
    "派件": "out_for_delivery",
    "退回": "return_to_sender",
    "转投": "in_transit",
    "清关": "in_transit",
    "拒签": "exception",
}
"""Our statuses for an entry without a number: the words of the plain states, and no others."""
ENDS = frozenset({"delivered", "returned", "return_to_sender", "cancelled"})
NO_NEWS = "it has no history yet"


def _text(value: object) -> object:
    """Return numbers as text: kuaidi100 sends some fields as either."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Word = Annotated[str, Field(max_length=TEXT_LENGTH_MAX)]
Number = Annotated[Word | None, BeforeValidator(_text)]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Line(Shape):
    """One entry of the history. `statusCode` is present if detailed states were requested; `status` is a word."""

    context: str
    time: ShanghaiTime
    status: Word | None = None
    statusCode: Number = None  # noqa: N815 - its name


class Result(Shape):
    com: Identifier
    nu: Identifier
    state: Number = None
    data: list[Line] = []


class Push(Shape):
    """A push. `comOld`: the carrier of the subscription, if kuaidi100 detected another one."""

    status: Literal["polling", "shutdown", "abort", "updateall"]
    message: str = ""
    comOld: str | None = None  # noqa: N815 - its name
    comNew: str | None = None  # noqa: N815 - its name
    lastResult: Result  # noqa: N815 - its name


def parse_push(payload: bytes) -> Command:
    """Return the command for a push, or for an answer to a query. Raise Skipped, or BadInput, which names the field."""
    try:
        document = document_of(payload, _bad)
        push = Push.model_validate(document) if "lastResult" in document else None
        result = push.lastResult if push else Result.model_validate(document)
        carrier = ((push and push.comOld) or result.com).lower()
        newest_last = tuple(reversed(result.data))
        lines = sorted(newest_last, key=lambda line: line.time)[-SIGHTINGS_MAX:]
        if not lines:
            raise Skipped(f"{result.nu}: {(push and push.message) or NO_NEWS}")
        seen = {one.milestone_id: one for one in _sightings(carrier, result, lines)}
        return RecordTracking(carrier=carrier, tracking_number=result.nu, sightings=tuple(seen.values()))
    except ValidationError as error:
        raise _bad(problems(error, whole="payload")) from error


def _bad(what: str) -> BadInput:
    return BadInput(Input.BAD_TRACKER, f"{what}; send a push of kuaidi100's, or its answer to a query")


def _sightings(carrier: str, result: Result, lines: list[Line]) -> Iterator[Sighting]:
    """Yield a tracking event for each entry.

    A final status is part of the entry's identity, as kuaidi100 may correct the state of the whole parcel.
    """
    for place, line in enumerate(lines, start=1):
        status = _status(line, result.state, is_newest=place == len(lines))
        content = f"{carrier}|{result.nu}|{line.time.isoformat()}|{line.context}|{status if status in ENDS else ''}"
        yield Sighting(
            milestone_id=f"kuaidi100-{sha256(content.encode()).hexdigest()[:32]}",
            status=status,
            occurred_at=line.time,
            detail=line.context.replace("\0", " ")[:TEXT_LENGTH_MAX],
            carrier_status=(line.statusCode or line.status or result.state or "").replace("\0", " "),
        )


def _status(line: Line, whole: str | None, *, is_newest: bool) -> MilestoneStatus:
    """Return the entry's status; the newest entry has that of the whole.

    When the sender signs for a returned parcel, its entry says 签收, too: therefore an entry is delivered only if the
    whole is.
    """
    if line.statusCode:
        status = STATES.get(line.statusCode, "unknown")
    elif is_newest and whole:
        status = STATES.get(whole, "unknown")
    elif line.status:
        status = WORDS.get(line.status.strip(), "unknown")
    else:
        status = "in_transit"
    return "unknown" if status == "delivered" and whole and STATES.get(whole) != "delivered" else status
