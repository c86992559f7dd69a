"""Statements that providers send for reconciliation: Stripe's itemised report, WeChat Pay's and Alipay's bills.

Invariant: a bill has each payment and each refund of the books once; its sums are those of its rows. Fees are the
account's terms on each payment, rounded half up; refunds have none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

from oms_es.gateways.loopback.alipay_books import AlipayBooks
from oms_es.gateways.loopback.stripe_books import StripeBooks
from oms_es.gateways.loopback.wechatpay_books import WeChatBooks

CHINA = timezone(timedelta(hours=8))
WRITTEN = "%Y-%m-%d %H:%M:%S"
BASIS_POINTS = 10_000
STRIPE_COLUMNS = (
    *("balance_transaction_id", "created_utc", "available_on_utc", "currency", "gross", "fee", "net"),
    *("reporting_category", "source_id", "description", "payment_intent_id"),
)
WECHATPAY_COLUMNS = (
    *("交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型"),
    *("交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额"),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额"),
    "费率备注",
)
WECHATPAY_SUMS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
ALIPAY_COLUMNS = (
    *("支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间", "门店编号", "门店名称", "操作员"),
    *("终端号", "对方账户", "订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）", "支付宝优惠（元）"),
    *("商家优惠（元）", "券核销金额（元）", "券名称", "商家红包消费金额（元）", "卡消费金额（元）"),
    *("退款批次号/请求号", "服务费（元）", "分润（元）", "备注"),
)


class Terms(NamedTuple):
    basis_points: int
    fixed_minor: int = 0

    def fee_of(self, gross_minor: int) -> int:
        if gross_minor <= 0:
            return 0
        return (gross_minor * self.basis_points + BASIS_POINTS // 2) // BASIS_POINTS + self.fixed_minor


class Entry(NamedTuple):
    """A payment or a refund. `own`: the provider's name of the payment; `order`: our order's. Of a refund, `refund` is
    the provider's name, `asked_as` is ours, and the amount is negative."""

    at: datetime
    gross_minor: int
    fee_minor: int
    own: str
    order: str
    currency: str = "CNY"
    refund: str = ""
    asked_as: str = ""


def stripe_entries(books: StripeBooks, terms: Terms) -> list[Entry]:
    return [
        Entry(
            datetime.fromtimestamp(one["created"], UTC),
            one["amount"],
            terms.fee_of(one["amount"]) if one["reporting_category"] == "charge" else 0,
            one["source"],
            one["payment_intent"],
            one["currency"],
            refund=one["source"] if one["reporting_category"] != "charge" else "",
        )
        for one in books.transactions
    ]


def wechatpay_entries(books: WeChatBooks, terms: Terms) -> list[Entry]:
    paid = []
    for name, order in books.orders.items():
        if order["state"] == "SUCCESS":
            total, at = order["wanted"]["amount"]["total"], datetime.fromisoformat(order["paid_at"])
            paid.append(Entry(at, total, terms.fee_of(total), order["transaction_id"], name))
    back = [
        Entry(
            datetime.fromisoformat(one["create_time"]),
            -one["amount"]["refund"],
            0,
            one["transaction_id"],
            one["out_trade_no"],
            refund=one["refund_id"],
            asked_as=one["out_refund_no"],
        )
        for one in books.refunds.values()
        if one["status"] == "SUCCESS"
    ]
    return sorted(paid + back)


def alipay_entries(books: AlipayBooks, terms: Terms) -> list[Entry]:
    found = []
    for name, trade in books.trades.items():
        if trade["paid_at"]:
            total = _fen(Decimal(books.prepared[name]["wanted"]["total_amount"]))
            found.append(Entry(_in_china(trade["paid_at"]), total, terms.fee_of(total), trade["trade_no"], name))
    for number, refund in books.refunds.items():
        own = books.trades[refund["name"]]["trade_no"]
        at, amount = _in_china(refund["given_at"]), -_fen(refund["amount"])
        found.append(Entry(at, amount, 0, own, refund["name"], refund=number, asked_as=number))
    return sorted(found)


def stripe_report(entries: Sequence[Entry]) -> bytes:
    written = io.StringIO()
    sheet = csv.writer(written)
    sheet.writerow(STRIPE_COLUMNS)
    for number, one in enumerate(entries, 1):
        at = one.at.astimezone(UTC).strftime(WRITTEN)
        amounts = (_decimal(one.gross_minor), _decimal(one.fee_minor), _decimal(one.gross_minor - one.fee_minor))
        kind = "charge" if not one.refund else "refund" if one.gross_minor < 0 else "refund_failure"
        sheet.writerow((f"txn_{number}", at, at, one.currency, *amounts, kind, one.refund or one.own, "", one.order))
    return written.getvalue().encode()


def wechatpay_bill(entries: Sequence[Entry], mchid: str) -> bytes:
    rows = [_wechatpay_row(one, mchid) for one in entries]
    came, went, fees = _sums(entries)
    sums = (str(len(rows)), came, went, "0.00", f"{fees}000", came, went)
    lines = [",".join(WECHATPAY_COLUMNS), *rows, WECHATPAY_SUMS, "`" + ",`".join(sums), ""]
    return ("\ufeff" + "\r\n".join(lines)).encode()


def _wechatpay_row(one: Entry, mchid: str) -> str:
    amount, nothing = _decimal(abs(one.gross_minor)), "0.00"
    said = dict.fromkeys(WECHATPAY_COLUMNS, "") | {
        "交易时间": one.at.astimezone(CHINA).strftime(WRITTEN),
        "商户号": mchid,
        "微信订单号": one.own,
        "商户订单号": one.order,
        "交易状态": "REFUND" if one.refund else "SUCCESS",
        "货币种类": one.currency,
        "应结订单金额": nothing if one.refund else amount,
        "代金券金额": nothing,
        "微信退款单号": one.refund or "0",
        "商户退款单号": one.asked_as or "0",
        "退款金额": amount if one.refund else nothing,
        "充值券退款金额": nothing,
        "退款状态": "SUCCESS" if one.refund else "",
        "手续费": f"{_decimal(one.fee_minor)}000",
        "订单金额": nothing if one.refund else amount,
        "申请退款金额": amount if one.refund else nothing,
    }
    return "`" + ",`".join(said.values())


def alipay_bill(entries: Sequence[Entry], seller_id: str) -> bytes:
    """Return Alipay's bill (业务明细), in GBK."""
    first, last = (
        f"{one.astimezone(CHINA):%Y年%m月%d日} 00:00:00" for one in (entries[0].at, entries[-1].at + timedelta(days=1))
    )
    counts = [sum(bool(one.refund) is is_back for one in entries) for is_back in (False, True)]
    came, went, _ = _sums(entries)
    lines = [
        *("#支付宝业务明细查询", f"#账号：[{seller_id}]", f"#起始日期：[{first}]   终止日期：[{last}]"),
        *("#-----业务明细列表-----", ",".join(ALIPAY_COLUMNS), *(_alipay_row(one) for one in entries)),
        "#-----业务明细列表结束-----",
        f"#交易合计：{counts[0]}笔，商家实收共{came}元，商家优惠共0.00元",
        f"#退款合计：{counts[1]}笔，商家实收退款共{_negative(went)}元，商家优惠退款共0.00元",
        "",
    ]
    return "\r\n".join(lines).encode("gbk")


def _alipay_row(one: Entry) -> str:
    said = dict.fromkeys(ALIPAY_COLUMNS, "") | {
        "支付宝交易号": f"{one.own}\t",
        "商户订单号": f"{one.order}\t",
        "业务类型": "退款" if one.refund else "交易",
        "完成时间": one.at.astimezone(CHINA).strftime(WRITTEN),
        "订单金额（元）": _decimal(one.gross_minor),
        "商家实收（元）": _decimal(one.gross_minor),
        "退款批次号/请求号": one.asked_as,
        "服务费（元）": _decimal(-one.fee_minor),
        "分润（元）": "0.00",
    }
    return ",".join(said.values())


def _sums(entries: Sequence[Entry]) -> tuple[str, str, str]:
    """Return the sums of payments, refunds and fees."""
    came = sum(one.gross_minor for one in entries if not one.refund)
    went = sum(-one.gross_minor for one in entries if one.refund)
    return _decimal(came), _decimal(went), _decimal(sum(one.fee_minor for one in entries))


def _decimal(minor: int) -> str:
    return f"{Decimal(minor).scaleb(-2):.2f}"


def _negative(amount: str) -> str:
    return amount if amount == "0.00" else f"-{amount}"


def _fen(yuan: Decimal) -> int:
    return int(yuan.scaleb(2))


def _in_china(text: str) -> datetime:
    return datetime.strptime(text, WRITTEN).replace(tzinfo=CHINA)
