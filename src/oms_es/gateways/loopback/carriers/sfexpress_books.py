"""SF Express's orders in memory: an id is taken once, also after its order was cancelled.

Invariant: each waybill number is of one order; an order that was collected is not cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Thing = dict[str, Any]
FIRST_NUMBER = 7_444_400_000_001
BEYOND = "港"
"""A word in an address to which nothing is delivered."""
CHECKED = "待确认"
"""A word in an address that people check."""
SHANGHAI_HOURS = 8
BY_HAND, WITHIN_REACH, OUT_OF_REACH = 1, 2, 3
"""Results of the check of an address."""
CANCEL = 2
NUMBERS_MAX = 10


class ApiError(Exception):
    """A refusal, with SF's code and words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class SfExpressBooks:
    """`clock`: seconds since 1970. `card`: the monthly account that may be charged."""

    def __init__(self, card: str, clock: Callable[[], float]) -> None:
        self.card = card
        self.clock = clock
        self.orders: dict[str, Thing] = {}
        self.routes: dict[str, list[Thing]] = {}
        self.numbers = 0

    def create(self, wanted: Thing) -> Thing:
        name = wanted.get("orderId")
        if not name:
            raise ApiError("8018", "未获取到订单信息")
        if name in self.orders:
            raise ApiError("8016", "重复下单")
        if wanted.get("monthlyCard") != self.card:
            raise ApiError("8119", "月结卡号不存在或已失效")
        _, receiver = wanted["contactInfoList"]
        if not (receiver.get("mobile") or receiver.get("tel")):
            raise ApiError("1016", "到件电话不能为空")
        if not receiver.get("address"):
            raise ApiError("1014", "到件地址不能为空")
        where = f"{receiver.get('province')}{receiver['address']}"
        result = OUT_OF_REACH if BEYOND in where else BY_HAND if CHECKED in where else WITHIN_REACH
        waybills = [self._waybill(1 if number == 0 else 2) for number in range(wanted["parcelQty"])]
        self.orders[name] = {
            "wanted": wanted,
            "cancelled": False,
            "shown": {
                "orderId": name,
                "originCode": "021",
                "destCode": "755",
                "filterResult": result,
                "remark": "3" if result == OUT_OF_REACH else None,
                "waybillNoInfoList": waybills,
                "routeLabelInfo": None,
            },
        }
        return self.shown(name)

    def _waybill(self, kind: int) -> Thing:
        self.numbers += 1
        return {"waybillType": kind, "waybillNo": f"SF{FIRST_NUMBER + self.numbers}"}

    def shown(self, name: str) -> Thing:
        return dict(self.orders[name]["shown"])

    def search(self, asked: Thing) -> Thing:
        """Return the order, named by its id or its main waybill; its result is text here."""
        name = asked.get("orderId") or self._of(asked.get("mainWaybillNo", ""))
        if name not in self.orders:
            raise ApiError("6150", "找不到该订单")
        if self.orders[name]["cancelled"]:
            raise ApiError("8037", "订单已消单")
        return self.shown(name) | {"filterResult": str(self.shown(name)["filterResult"])}

    def _of(self, number: str) -> str:
        return next((name for name, one in self.orders.items() if number in self.numbers_of(one)), "")

    def numbers_of(self, order: Thing) -> list[str]:
        return [one["waybillNo"] for one in order["shown"]["waybillNoInfoList"]]

    def update(self, asked: Thing) -> Thing:
        order = self.orders.get(asked.get("orderId", ""))
        if order is None:
            raise ApiError("8018", "未获取到订单信息")
        if asked.get("dealType") != CANCEL:
            raise ApiError("8252", "订单已确认")
        if order["cancelled"]:
            raise ApiError("8037", "订单已消单")
        named = {one["waybillNo"] for one in asked.get("waybillNoInfoList") or []}
        if named != set(self.numbers_of(order)):
            return {"orderId": asked["orderId"], "waybillNoInfoList": [], "resStatus": 1}
        if any(self.routes.get(number) for number in named):
            raise ApiError("8168", "订单已生成路由")
        order["cancelled"] = True
        return {"orderId": asked["orderId"], "waybillNoInfoList": asked["waybillNoInfoList"], "resStatus": 2}

    def standing(self) -> list[str]:
        """Return the main waybill numbers of orders that are to be collected, or were."""
        return [self.numbers_of(one)[0] for one in self.orders.values() if not one["cancelled"]]

    def scan(self, number: str, code: str, words: str, **more: str) -> Thing:
        """Record a route of a parcel, and return it as a push has it."""
        at = (datetime.fromtimestamp(self.clock(), UTC) + timedelta(hours=SHANGHAI_HOURS)).strftime("%Y-%m-%d %H:%M:%S")
        route = {"acceptTime": at, "acceptAddress": "上海市", "remark": words, "opCode": code, **more}
        found = self.routes.setdefault(number, [])
        found.append(route)
        return {"mailno": number, "orderid": self._of(number), "id": str(len(found)), **route}

    def routes_of(self, asked: Thing) -> Thing:
        numbers = asked.get("trackingNumber") or []
        if len(numbers) > NUMBERS_MAX:
            raise ApiError("8003", "查询单号超过最大限制")
        if not all(self._of(number) for number in numbers):
            raise ApiError("8247", "运单号不合法")
        return {"routeResps": [{"mailNo": number, "routes": self.routes.get(number, [])} for number in numbers]}
