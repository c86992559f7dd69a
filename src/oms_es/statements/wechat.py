"""Bills of WeChat Pay: trades, with their fees, and funds, with the balance after each movement.

Invariant: values are separated by a comma and a backtick, so that a name may contain a comma; the counts and sums in
the last row agree with the rows. Times are China's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from oms_es.schemas.finance.statement import StatementLine
from oms_es.statements.reading import (
    AMOUNT,
    CHINA,
    Options,
    Statement,
    chained,
    clean,
    currency_of,
    fee_of,
    line_of,
    moment_of,
    period_of,
    references_of,
    refuse,
    require_few,
    text_of,
    unsigned_of,
)
from oms_es.statements.reading import minor_of as minor

TRADES, FUNDS = "总交易单数", "资金流水总笔数"
"""The first name in the row of totals."""
CNY = "CNY"
SUMMED = (
    ("应结订单总金额", "应结订单金额"),
    ("总交易额", "总金额"),
    ("退款总金额", "退款金额"),
    ("总退款金额", "退款金额"),
    ("充值券退款总金额", "充值券退款金额"),
    ("手续费总金额", "手续费"),
    ("订单总金额", "订单金额"),
    ("申请退款总金额", "申请退款金额"),
)
"""Each total, and the column that it sums; an older bill has other names for some."""
FUND_KINDS = {
    "交易": "payment",
    "退款": "refund",
    "扣除交易手续费": "fee",
    "手续费": "fee",
    "提现": "payout",
    "充值": "transfer",
}
REFUND_STATES = ("", "SUCCESS", "PROCESSING", "FAIL", "CHANGE")
SIGNS = {"收入": 1, "支出": -1}


class Bill(NamedTuple):
    rows: list[tuple[int, Mapping[str, str]]]
    totals: Mapping[str, str]
    line: int
    """The number of the line with the totals."""


def read_trade(content: bytes, options: Options) -> Sequence[Statement]:
    bill = _bill(text_of(content, options, ("utf-8", "gb18030")), TRADES)
    _require_totals(bill)
    lines = tuple(_trade(number, row) for number, row in bill.rows)
    require_few(lines)
    first, last = period_of(lines, bill.line)
    number = _only_number({row["商户号"] for _, row in bill.rows if "商户号" in row})
    return [Statement("wechat-trade", number, f"trade/{first}..{last}", CNY, first, last, None, None, lines)]


def read_fund(content: bytes, options: Options) -> Sequence[Statement]:
    bill = _bill(text_of(content, options, ("utf-8", "gb18030")), FUNDS)
    found = [_fund(number, row) for number, row in bill.rows]
    _require_fund_totals(bill, [line for _, line, _ in found])
    opening, closing, lines = chained(found, CNY) if found else (0, 0, [])
    require_few(lines)
    first, last = period_of(lines, bill.line)
    return [Statement("wechat-fund", "", f"fund/{first}..{last}", CNY, first, last, opening, closing, tuple(lines))]


def _values(line: str) -> list[str]:
    """Return the values of a row, or of a header, whose names begin with a backtick or not."""
    if line.startswith("`"):
        return [value.strip() for value in line[1:].split(",`")]
    return [value.strip() for value in line.split(",")]


def _bill(text: str, totals_begin: str) -> Bill:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    names = _values(lines[0][1].replace("（", "(").replace("）", ")")) if lines else []
    ends = [place for place, (_, line) in enumerate(lines) if _values(line)[0] == totals_begin]
    if not names or len(ends) != 1 or ends[0] != len(lines) - 2:
        refuse(
            lines[-1][0] if lines else 1, f"the bill does not end with the rows of its sums, {totals_begin} and so on"
        )
    end = ends[0]
    rows = []
    for number, line in lines[1:end]:
        if not line.startswith("`"):
            refuse(number, "a value has no backtick before it")
        rows.append((number, _row(number, names, _values(line))))
    number, sums = lines[end + 1]
    return Bill(rows, _row(number, _values(lines[end][1]), _values(sums)), number)


def _row(number: int, names: Sequence[str], values: Sequence[str]) -> Mapping[str, str]:
    if len(names) != len(values):
        refuse(number, f"{len(values)} values stand under {len(names)} names")
    return dict(zip(names, values, strict=True))


def _require_totals(bill: Bill) -> None:
    _require_number(bill, TRADES, len(bill.rows))
    for sum_name, column in SUMMED:
        if sum_name in bill.totals and (not bill.rows or column in bill.rows[0][1]):
            exact = sum((_exact(row[column], number) for number, row in bill.rows), Decimal(0))
            if _exact(bill.totals[sum_name], bill.line) != exact:
                refuse(bill.line, f"{sum_name} is {bill.totals[sum_name]}, and the rows sum to {exact}")


def _require_fund_totals(bill: Bill, lines: Sequence[StatementLine]) -> None:
    _require_number(bill, FUNDS, len(lines))
    for sign, count, total in ((1, "收入笔数", "收入金额"), (-1, "支出笔数", "支出金额")):
        amounts = [sign * line.amount_minor for line in lines if sign * line.amount_minor > 0]
        _require_number(bill, count, len(amounts))
        if minor(bill.totals.get(total, ""), CNY, bill.line) != sum(amounts):
            refuse(bill.line, f"{total} is {bill.totals.get(total)}, and the rows sum to {sum(amounts)} fen")


def _require_number(bill: Bill, name: str, count: int) -> None:
    said = bill.totals.get(name, "")
    if not AMOUNT.fullmatch(said) or Decimal(said) != count:
        refuse(bill.line, f"{name} is {said}, and there are {count}")


def _exact(text: str, line: int) -> Decimal:
    return Decimal(text) if AMOUNT.fullmatch(text) else refuse(line, f"{text!r} is no amount")


def _trade(number: int, row: Mapping[str, str]) -> StatementLine:
    status = row.get("交易状态", "")
    if status not in ("SUCCESS", "REFUND", "REVOKED"):
        refuse(number, f"the trade has the status {status!r}, not SUCCESS, REFUND or REVOKED")
    if row.get("退款状态", "") not in REFUND_STATES:
        refuse(number, f"the refund has the state {row['退款状态']!r}")
    currency = currency_of(row.get("货币种类", CNY), number)
    if currency != CNY:
        refuse(number, f"the trade is in {currency}, the bill in {CNY}")
    is_back = status != "SUCCESS"
    settled = unsigned_of(row.get("应结订单金额", row.get("总金额", "")), CNY, number)
    back = unsigned_of(row.get("退款金额", "0"), CNY, number)
    fee, fee_exact = fee_of(row.get("手续费", "0"), CNY, number)
    sent = row["交易时间"]
    at = moment_of(sent, "%Y-%m-%d %H:%M:%S", number)
    own = row.get("微信退款单号" if is_back else "微信订单号", "")
    return line_of(
        number,
        line_id=clean(own),
        kind="refund" if is_back else "payment",
        booked_on=at.date().isoformat(),
        happened_at=at.replace(tzinfo=CHINA),
        sent_time=clean(sent),
        amount_minor=(-back if is_back else settled) - fee,
        fee_minor=fee,
        fee_exact=fee_exact,
        pending=is_back and row.get("退款状态", "SUCCESS") not in ("SUCCESS", ""),
        references=references_of(own, *_trade_references(row, is_back=is_back)),
        text=row.get("商品名称", ""),
    )


def _trade_references(row: Mapping[str, str], *, is_back: bool) -> Iterator[str]:
    names = ("商户退款单号", "商户订单号", "微信订单号") if is_back else ("商户订单号",)
    return (row.get(name, "") for name in names)


def _fund(number: int, row: Mapping[str, str]) -> tuple[int, StatementLine, int]:
    sign = SIGNS.get(row.get("收支类型", ""))
    if sign is None:
        refuse(number, f"it says {row.get('收支类型')!r}, not 收入 or 支出")
    sent = row.get("记账时间", "")
    at = moment_of(sent, "%Y-%m-%d %H:%M:%S", number)
    own = row.get("资金流水单号", "")
    line = line_of(
        number,
        line_id=clean(own),
        kind=FUND_KINDS.get(row.get("业务类型", ""), "other"),
        booked_on=at.date().isoformat(),
        happened_at=at.replace(tzinfo=CHINA),
        sent_time=clean(sent),
        amount_minor=sign * unsigned_of(row.get("收支金额(元)", ""), CNY, number),
        references=references_of(own, row.get("微信支付业务单号", ""), row.get("业务凭证号", "")),
        text=row.get("备注", ""),
    )
    return number, line, minor(row.get("账户结余(元)", ""), CNY, number)


def _only_number(numbers: set[str]) -> str:
    return clean(numbers.pop()) if len(numbers) == 1 else ""
