"""The state of a merchant's account at WeChat Pay: orders that wait or are paid, and their refunds.

Invariant: an order is paid once and whole, or closed, never both; its refunds sum to no more than it; a name that was
used before means the same order, or is refused. Source: https://pay.weixin.qq.com/doc/v3/merchant, as of 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

Thing = dict[str, Any]
ATTACH_BYTES_MAX = 128
NAME_MAX = 32
CHINA = timezone(timedelta(hours=8))
REQUIRED = ("appid", "mchid", "description", "out_trade_no", "notify_url", "amount")


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"code": code, "message": message}


class WeChatBooks:
    """The account. `clock` returns seconds since 1970. `short_of_funds`: the merchant's balance covers no refund."""

    def __init__(self, mchid: str, appid: str, clock: Callable[[], float]) -> None:
        self.mchid = mchid
        self.appid = appid
        self.clock = clock
        self.orders: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.events: list[tuple[str, Thing]] = []
        self.short_of_funds = False
        self.refunds_take_time = False
        self._numbers = count(1)

    def place(self, way: str, wanted: Thing) -> Thing:
        if missing := [name for name in REQUIRED if not wanted.get(name)]:
            raise ApiError(400, "PARAM_ERROR", f"{missing[0]} is missing")
        self._check(wanted)
        name = wanted["out_trade_no"]
        known = self.orders.get(name)
        if known and known["wanted"] != wanted:
            raise ApiError(403, "OUT_TRADE_NO_USED", "the order number was used for something else")
        if known and known["state"] != "NOTPAY":
            code = "ORDERPAID" if known["state"] == "SUCCESS" else "ORDER_CLOSED"
            raise ApiError(400, code, "the order is paid or closed")
        if not known:
            self.orders[name] = {"wanted": wanted, "state": "NOTPAY", "way": way, "number": next(self._numbers)}
        number = self.orders[name]["number"]
        return (
            {"prepay_id": f"wx{number:032d}"}
            if way == "jsapi"
            else {"code_url": f"weixin://wxpay/bizpayurl?pr={number}"}
        )

    def _check(self, wanted: Thing) -> None:
        if wanted["mchid"] != self.mchid or wanted["appid"] != self.appid:
            raise ApiError(400, "APPID_MCHID_NOT_MATCH", "appid and mchid do not belong together")
        amount = wanted["amount"]
        if type(amount.get("total")) is not int or amount["total"] < 1 or amount.get("currency", "CNY") != "CNY":
            raise ApiError(400, "PARAM_ERROR", "amount.total is a positive number of fen")
        until = wanted.get("time_expire")
        if until and datetime.fromisoformat(until).timestamp() < self.clock() + 60:
            raise ApiError(400, "PARAM_ERROR", "time_expire is at least a minute ahead")
        if len(wanted.get("attach", "").encode()) > ATTACH_BYTES_MAX or len(wanted["out_trade_no"]) > NAME_MAX:
            raise ApiError(400, "PARAM_ERROR", "attach or out_trade_no is too long")

    def order(self, name: str, mchid: str) -> Thing:
        if mchid != self.mchid:
            raise ApiError(400, "MCH_NOT_EXISTS", "there is no such merchant")
        if name not in self.orders:
            raise ApiError(404, "ORDER_NOT_EXIST", "there is no such order")
        return self.orders[name]

    def shown(self, name: str) -> Thing:
        order = self.orders[name]
        wanted = order["wanted"]
        total = wanted["amount"]["total"]
        shown = {
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": name,
            "trade_state": "REFUND" if self._given_back(name) else order["state"],
            "trade_state_desc": "",
            "attach": wanted.get("attach", ""),
            "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
        }
        if order["state"] == "SUCCESS":
            shown |= {
                "transaction_id": order["transaction_id"],
                "trade_type": order["way"].upper(),
                "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
                "success_time": order["paid_at"],
            }
        return shown

    def pay(self, name: str) -> bool:
        """Pay the order as the customer does; return False if WeChat Pay does not allow it."""
        order = self.orders[name]
        until = order["wanted"].get("time_expire")
        if order["state"] != "NOTPAY" or (until and datetime.fromisoformat(until).timestamp() <= self.clock()):
            return False
        order |= {"state": "SUCCESS", "transaction_id": f"4200{next(self._numbers):024d}", "paid_at": self._now()}
        self.events.append(("TRANSACTION.SUCCESS", self.shown(name)))
        return True

    def close(self, name: str, wanted: Thing) -> None:
        order = self.order(name, wanted.get("mchid", ""))
        if order["state"] == "SUCCESS":
            raise ApiError(400, "ORDERPAID", "the order is paid")
        order["state"] = "CLOSED"

    def refund(self, wanted: Thing) -> Thing:
        name, number = wanted.get("out_trade_no", ""), wanted.get("out_refund_no", "")
        order = self.order(name, self.mchid)
        amount, total = wanted["amount"], order["wanted"]["amount"]["total"]
        if known := self.refunds.get(number):
            if (known["out_trade_no"], known["amount"]["refund"]) != (name, amount["refund"]):
                raise ApiError(400, "INVALID_REQUEST", "the refund number was used for something else")
            return known
        if order["state"] != "SUCCESS" or amount.get("total") != total:
            raise ApiError(400, "INVALID_REQUEST", "the order is not paid, or of another total")
        if self.short_of_funds:
            raise ApiError(403, "NOT_ENOUGH", "the merchant's balance is too low")
        if type(amount["refund"]) is not int or not 0 < amount["refund"] <= total - self._given_back(name):
            raise ApiError(400, "PARAM_ERROR", "more than what is left of the order")
        refund = {
            "refund_id": f"5030{next(self._numbers):025d}",
            "out_refund_no": number,
            "transaction_id": order["transaction_id"],
            "out_trade_no": name,
            "status": "PROCESSING",
            "create_time": self._now(),
            "amount": {"total": total, "refund": amount["refund"], "currency": "CNY"},
        }
        self.refunds[number] = refund
        if not self.refunds_take_time:
            self.settle_refunds()
        return refund

    def settle_refunds(self, state: str = "SUCCESS") -> None:
        for refund in self.refunds.values():
            if refund["status"] == "PROCESSING":
                refund["status"] = state
                amount = {one: value for one, value in refund["amount"].items() if one != "currency"}
                names = ("refund_id", "out_refund_no", "transaction_id", "out_trade_no")
                said = {one: refund[one] for one in names} | {"amount": amount, "refund_status": state}
                self.events.append(
                    (f"REFUND.{state}", {**said, "mchid": self.mchid, "user_received_account": "招商银行0403"})
                )

    def found_refund(self, number: str) -> Thing:
        if number not in self.refunds:
            raise ApiError(404, "RESOURCE_NOT_EXISTS", "there is no such refund")
        return self.refunds[number]

    def _given_back(self, name: str) -> int:
        mine = (one for one in self.refunds.values() if one["out_trade_no"] == name)
        return sum(int(one["amount"]["refund"]) for one in mine if one["status"] in ("SUCCESS", "PROCESSING"))

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).astimezone(CHINA).isoformat(timespec="seconds")
