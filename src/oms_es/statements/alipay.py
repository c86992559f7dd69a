"""Alipay's bills as CSV in GBK: 业务明细, trades with their fees, and 账务明细, the account with its balances.

Invariant: the counts and sums at the end agree with the rows. Times are China's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from oms_es.schemas.finance.statement import StatementLine
from oms_es.schemas.values.currency import to_text
from oms_es.statements.reading import (
    CHINA,
    Options,
    Statement,
    Table,
    chained,
    clean,
    csv_rows,
    header_of,
    line_of,
    minor_of,
    moment_of,
    references_of,
    refuse,
    require_few,
    text_of,
)

CNY = "CNY"
ACCOUNT = re.compile(r"#账号[:：]\[([^\]]+)\]")
PERIOD = re.compile(r"#起始日期[:：]\[([^\]]+)\]\s*终止日期[:：]\[([^\]]+)\]")
FOOTER = re.compile(
    r"#+(收入合计|支出合计|交易合计|退款合计)[:：]([0-9]+)笔，(?:商家实收|商家实收退款|退款)?共([+-]?[0-9.]+)元.*"
)
DAY = "%Y年%m月%d日 %H:%M:%S"
TIME = "%Y-%m-%d %H:%M:%S"
KINDS = (
    ("退款", "refund"),
    ("收费", "fee"),
    ("服务费", "fee"),
    ("手续费", "fee"),
    ("提现", "payout"),
    ("在线支付", "payment"),
)
"""How the account's kinds of business begin or end, with our kinds."""


def read(content: bytes, options: Options) -> Sequence[Statement]:
    text = text_of(content, options, ("utf-8", "gb18030"))
    head, table, footers = _parts(text)
    account, period = ACCOUNT.search(head), PERIOD.search(head)
    if period is None:
        refuse(1, "no line says of which days it is, #起始日期 and 终止日期")
    number = clean(account[1]) if account else ""
    first, last = (moment_of(one.strip(), DAY, 1).date().isoformat() for one in period.groups())
    of = _account if "账务流水号" in table.columns else _trades
    kind, opening, closing, lines = of(table, footers)
    require_few(lines)
    statement_id = f"{kind}/{first}..{last}"
    return [Statement("alipay", number, statement_id, CNY, first, last, opening, closing, tuple(lines))]


def _parts(text: str) -> tuple[str, Table, Mapping[str, tuple[int, int, int]]]:
    """Return the text before the header, the rows, and the sums after them, each with its line, count and amount."""
    head: list[str] = []
    footers: dict[str, tuple[int, int, int]] = {}
    header: dict[str, int] = {}
    rows: list[tuple[int, list[str]]] = []
    for number, cells in csv_rows(text):
        values = [value.strip() for value in cells]
        while values and not values[-1] and len(values) > max(len(header), 1):
            values.pop()
        if values[0].startswith("#"):
            line = ",".join(values)
            if found := FOOTER.fullmatch(line):
                footers[found[1]] = (number, int(found[2]), minor_of(found[3], CNY, number))
            elif not header:
                head.append(line)
        elif not header:
            header = header_of([value.replace("(", "（").replace(")", "）") for value in values], number)
        elif footers:
            refuse(number, "a row stands after the sums")
        else:
            rows.append((number, values))
    if not header or not footers:
        refuse(None, "the rows, or the lines that sum them up, are missing")
    return "\n".join(head), Table(header, rows), footers


def _require_sum(
    footers: Mapping[str, tuple[int, int, int]], name: str, amounts: Sequence[int], *, unsigned: bool = False
) -> None:
    if name not in footers:
        refuse(None, f"no line says {name}")
    line, count, total = footers[name]
    if count != len(amounts) or (abs(total) if unsigned else total) != sum(amounts):
        words = to_text(sum(amounts), CNY)
        refuse(line, f"{name} is {count} of {to_text(total, CNY)}, and there are {len(amounts)} of {words}")


Found = tuple[str, int | None, int | None, list[StatementLine]]


def _account(table: Table, footers: Mapping[str, tuple[int, int, int]]) -> Found:
    table.require("账务流水号", "发生时间", "收入金额（+元）", "支出金额（-元）", "账户余额（元）")
    found = [_movement(number, row) for number, row in table.records()]
    amounts = [line.amount_minor for _, line, _ in found]
    _require_sum(footers, "收入合计", [one for one in amounts if one > 0])
    _require_sum(footers, "支出合计", [-one for one in amounts if one < 0], unsigned=True)
    opening, closing, lines = chained(found, CNY) if found else (None, None, [])
    return "account", opening, closing, lines


def _movement(number: int, row: Mapping[str, str]) -> tuple[int, StatementLine, int]:
    income, spent = (minor_of(row[name] or "0", CNY, number) for name in ("收入金额（+元）", "支出金额（-元）"))
    if income < 0 or (income and spent):
        refuse(number, "it is both income and expense, or an income below nothing")
    sent, own = row["发生时间"], row["账务流水号"]
    at = moment_of(sent, TIME, number)
    business = row.get("业务类型", "")
    line = line_of(
        number,
        line_id=clean(own),
        kind=next((kind for words, kind in KINDS if words in business), "other"),
        booked_on=at.date().isoformat(),
        happened_at=at.replace(tzinfo=CHINA),
        sent_time=clean(sent),
        amount_minor=income - abs(spent),
        references=references_of(own, row.get("业务流水号", ""), row.get("商户订单号", "")),
        text=row.get("备注", "") or row.get("商品名称", ""),
    )
    return number, line, minor_of(row["账户余额（元）"], CNY, number)


def _trades(table: Table, footers: Mapping[str, tuple[int, int, int]]) -> Found:
    table.require("支付宝交易号", "商户订单号", "业务类型", "完成时间", "商家实收（元）", "服务费（元）")
    found = [_trade(number, row) for number, row in table.records()]
    for name, kind in (("交易合计", "payment"), ("退款合计", "refund")):
        _require_sum(footers, name, [line.gross_minor for line in found if line.kind == kind])
    return "trade", None, None, found


def _trade(number: int, row: Mapping[str, str]) -> StatementLine:
    kinds = {"交易": "payment", "退款": "refund"}
    if row["业务类型"] not in kinds:
        refuse(number, f"the kind of business is {row['业务类型']!r}, not 交易 or 退款")
    received = minor_of(row["商家实收（元）"], CNY, number)
    shared = minor_of(row.get("分润（元）", "") or "0", CNY, number)
    fee = -minor_of(row["服务费（元）"] or "0", CNY, number) - shared
    is_back = kinds[row["业务类型"]] == "refund"
    if received and (received < 0) != is_back:
        refuse(number, f"{row['业务类型']} of {row['商家实收（元）']} goes the wrong way")
    if abs(fee) > abs(received):
        refuse(number, f"a fee of {to_text(fee, CNY)} is more than the trade")
    sent = row["完成时间"]
    at = moment_of(sent, TIME, number)
    request = row.get("退款批次号/请求号", "")
    return line_of(
        number,
        line_id=clean(request if is_back and request else row["支付宝交易号"]),
        kind=kinds[row["业务类型"]],
        booked_on=at.date().isoformat(),
        happened_at=at.replace(tzinfo=CHINA),
        sent_time=clean(sent),
        amount_minor=received - fee,
        fee_minor=fee,
        references=references_of(request, row["支付宝交易号"], row["商户订单号"]),
        text=row.get("商品名称", ""),
    )
