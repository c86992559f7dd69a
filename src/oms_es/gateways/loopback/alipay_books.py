"""The state of a seller's account at Alipay: orders that are prepared, that exist once they are opened, and that are
paid.

Invariant: an order is paid once and whole, or closed, never both; its refunds sum to no more than it. Source:
https://opendocs.alipay.com/open, as of 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any

Thing = dict[str, Any]
CHINA = timezone(timedelta(hours=8))
SECONDS_PER_MINUTE = 60
YUAN = re.compile(r"[0-9]+\.[0-9]{2}", re.ASCII)


class ApiError(Exception):
    def __init__(self, sub_code: str, sub_msg: str) -> None:
        super().__init__(sub_msg)
        self.body: Thing = {"code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": sub_msg}


class AlipayBooks:
    """The account. `clock` returns seconds since 1970. `short_of_funds`: the seller's balance covers no refund."""

    def __init__(self, app_id: str, seller_id: str, clock: Callable[[], float]) -> None:
        self.app_id = app_id
        self.seller_id = seller_id
        self.clock = clock
        self.prepared: dict[str, Thing] = {}
        self.trades: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.events: list[Thing] = []
        self.short_of_funds = False
        self._numbers = count(1)

    def prepare(self, wanted: Thing) -> Thing:
        """Prepare an order, to be paid by a code or on a page."""
        name = wanted["out_trade_no"]
        known = self.prepared.get(name)
        if known and known["wanted"] != wanted:
            raise ApiError("ACQ.CONTEXT_INCONSISTENT", "the trade's information was changed")
        is_subject = not any(sign in wanted["subject"] for sign in "/=&")
        if not is_subject or not YUAN.fullmatch(wanted["total_amount"]):
            raise ApiError("ACQ.INVALID_PARAMETER", "a parameter is wrong")
        if self.trades.get(name, {}).get("state") in ("TRADE_SUCCESS", "TRADE_CLOSED"):
            raise ApiError("ACQ.TRADE_HAS_SUCCESS", "the trade is paid or closed")
        self.prepared.setdefault(name, {"wanted": wanted, "until": self._until(wanted)})
        return {"out_trade_no": name, "qr_code": f"https://qr.alipay.com/{name}"}

    def _until(self, wanted: Thing) -> float:
        if "time_expire" in wanted:
            return datetime.strptime(wanted["time_expire"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).timestamp()
        return self.clock() + int(wanted["qr_code_timeout_express"].removesuffix("m")) * SECONDS_PER_MINUTE

    def opened(self, name: str) -> bool:
        """Open the order as a customer does who scans the code or opens the page: only then the trade exists. Return
        whether it does."""
        if name not in self.trades and self.prepared[name]["until"] > self.clock():
            number = next(self._numbers)
            self.trades[name] = {"state": "WAIT_BUYER_PAY", "trade_no": f"2026{number:024d}", "paid_at": ""}
        return name in self.trades

    def pay(self, name: str) -> bool:
        """Pay the order; return False if Alipay does not allow it."""
        if not self.opened(name):
            return False
        trade = self.trades[name]
        if trade["state"] != "WAIT_BUYER_PAY" or self.prepared[name]["until"] <= self.clock():
            return False
        trade |= {"state": "TRADE_SUCCESS", "paid_at": self._now()}
        self._report(name)
        return True

    def trade(self, name: str) -> Thing:
        if name not in self.trades:
            raise ApiError("ACQ.TRADE_NOT_EXIST", "there is no such trade")
        return self.trades[name]

    def query(self, wanted: Thing) -> Thing:
        name = wanted["out_trade_no"]
        trade = self.trade(name)
        paid = {"send_pay_date": trade["paid_at"]} if trade["paid_at"] else {}
        total = self.prepared[name]["wanted"]["total_amount"]
        shown = {"trade_no": trade["trade_no"], "out_trade_no": name, "total_amount": total}
        return {**shown, "trade_status": trade["state"], "buyer_logon_id": "159****5620", **paid}

    def close(self, wanted: Thing) -> Thing:
        name = wanted["out_trade_no"]
        trade = self.trade(name)
        if trade["state"] != "WAIT_BUYER_PAY":
            raise ApiError("ACQ.TRADE_STATUS_ERROR", "the trade is paid or closed")
        trade["state"] = "TRADE_CLOSED"
        self._report(name)
        return {"out_trade_no": name, "trade_no": trade["trade_no"]}

    def refund(self, wanted: Thing) -> Thing:
        name, number, amount = wanted["out_trade_no"], wanted["out_request_no"], Decimal(wanted["refund_amount"])
        trade = self.trade(name)
        known = self.refunds.get(number)
        if known and known["amount"] != amount:
            raise ApiError("ACQ.DISCORDANT_REPEAT_REQUEST", "the request was for another amount")
        if not known:
            left = Decimal(self.prepared[name]["wanted"]["total_amount"]) - self.given_back(name)
            if not trade["paid_at"] or not 0 < amount <= left:
                raise ApiError("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "more than what is left of the trade")
            if self.short_of_funds:
                raise ApiError("ACQ.SELLER_BALANCE_NOT_ENOUGH", "the seller's balance is too low")
            self.refunds[number] = {"name": name, "amount": amount, "given_at": self._now()}
            if amount == left:
                trade["state"] = "TRADE_CLOSED"
            self._report(name, gmt_refund=self._now(), refund_fee=str(self.given_back(name)), out_biz_no=number)
        changed = {"fund_change": "N" if known else "Y", "refund_fee": str(self.given_back(name))}
        return {"out_trade_no": name, "trade_no": trade["trade_no"], **changed}

    def found_refund(self, wanted: Thing) -> Thing:
        trade, refund = self.trade(wanted["out_trade_no"]), self.refunds.get(wanted["out_request_no"])
        shown = {"out_trade_no": wanted["out_trade_no"], "trade_no": trade["trade_no"]}
        done = {"refund_status": "REFUND_SUCCESS", "refund_amount": str(refund["amount"])} if refund else {}
        return shown | done

    def given_back(self, name: str) -> Decimal:
        return sum((one["amount"] for one in self.refunds.values() if one["name"] == name), Decimal("0.00"))

    def _report(self, name: str, **more: str) -> None:
        trade, wanted = self.trades[name], self.prepared[name]["wanted"]
        paid = {"gmt_payment": trade["paid_at"]} if trade["paid_at"] else {}
        said = {
            "notify_type": "trade_status_sync",
            "notify_id": f"n{next(self._numbers)}",
            "notify_time": self._now(),
            "app_id": self.app_id,
            "seller_id": self.seller_id,
            "charset": "utf-8",
            "version": "1.0",
            "out_trade_no": name,
            "trade_no": trade["trade_no"],
            "trade_status": trade["state"],
            "total_amount": wanted["total_amount"],
            "subject": wanted["subject"],
            "body": wanted.get("body", ""),
            "buyer_logon_id": "159****5620",
            "passback_params": "",
        }
        self.events.append({**said, **paid, **more})

    def _now(self) -> str:
        return f"{datetime.fromtimestamp(self.clock(), UTC).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
