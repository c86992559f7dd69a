"""The same movements written in every format of statements, by code that shares nothing with the readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Literal, NamedTuple

WECHAT_TRADE = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,"
    "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
WECHAT_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
WECHAT_FUND = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,"
    "收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
)
ALIPAY_TRADE = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,"
    "支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,"
    "服务费（元）,分润（元）,备注"
)
ALIPAY_ACCOUNT = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,"
    "收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"
)
PAYPAL = [
    "Transaction ID",
    "Invoice ID",
    "PayPal Reference ID",
    "PayPal Reference ID Type",
    "Transaction Event Code",
    "Transaction Initiation Date",
    "Transaction Completion Date",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
    "Fee Debit or Credit",
    "Fee Amount",
    "Fee Currency",
    "Custom Field",
]
STRIPE = [
    "balance_transaction_id",
    "created_utc",
    "available_on_utc",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "description",
    "automatic_payout_id",
    "charge_id",
    "payment_intent_id",
]
MAPPING = """
delimiter = ";"
decimal = ","
date_format = "%d.%m.%Y"
currency = "EUR"
date = "Buchung"
value_date = "Wert"
amount = "Betrag"
balance = "Saldo"
references = ["Referenz"]
text = "Text"
"""


class Movement(NamedTuple):
    """A movement: the gross amount in minor units, and the `fee` that providers withhold from it."""

    day: date
    gross: int
    fee: int
    reference: str
    text: str

    @property
    def net(self) -> int:
        return self.gross - self.fee

    @property
    def moment(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 10, 30, tzinfo=UTC)


def movements(seed: int, count: int = 12) -> list[Movement]:
    """Return movements across the turn of a year; some of them are outgoing."""
    chance = Random(seed)
    found = []
    day = date(2025, 12, 28)
    for number in range(count):
        day += timedelta(days=chance.randint(0, 2))
        amount = chance.choice((1, 99, 100, 12_345, chance.randint(1, 10_000_000)))
        gross = amount if number == 0 or chance.random() < 0.7 else -amount
        fee = chance.randint(0, amount // 30 + 1) if gross > 0 else 0
        text = chance.choice(("Tee, grün", "茶杯 两只", "a+b/c", "Müller & Söhne"))
        found.append(Movement(day, gross, fee, f"ref{seed}x{number:04}", text))
    return found


def decimal(minor: int) -> str:
    return str(Decimal(minor).scaleb(-2))


def running(amounts: Sequence[int], opening: int) -> Iterator[int]:
    for amount in amounts:
        opening += amount
        yield opening


def mt940(found: Sequence[Movement], opening: int = 100_000) -> bytes:
    def amount(minor: int) -> str:
        return decimal(abs(minor)).replace(".", ",")

    def balance(tag: str, minor: int, day: date) -> str:
        return f":{tag}:{'C' if minor >= 0 else 'D'}{day:%y%m%d}EUR{amount(minor)}"

    lines = ["{1:F01BANKDEFFAXXX0000000000}{4:", ":20:STARTUMS", ":25:DE02120300000000202051", ":28C:1/1"]
    lines.append(balance("60F", opening, found[0].day))
    for number, one in enumerate(found):
        mark = ("C" if number % 2 else "RD") if one.gross > 0 else ("D" if number % 2 else "RC")
        lines.append(f":61:{one.day:%y%m%d}{one.day:%m%d}{mark}{amount(one.gross)}NTRF{one.reference}//B{number}")
        lines.append(f":86:166?00GUTSCHRIFT?20EREF+{one.reference}?21SVWZ+{one.text}")
    lines.append(balance("62F", opening + sum(one.gross for one in found), found[-1].day))
    return "\r\n".join([*lines, "-}", ""]).encode()


def camt053(found: Sequence[Movement], opening: int = 100_000) -> bytes:
    def balance(code: str, minor: int, day: date) -> str:
        mark = "CRDT" if minor >= 0 else "DBIT"
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{decimal(abs(minor))}</Amt>"
            f"<CdtDbtInd>{mark}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
        )

    def entry(one: Movement) -> str:
        mark = "CRDT" if one.gross > 0 else "DBIT"
        text = one.text.replace("&", "&amp;")
        return (
            f"<Ntry><Amt Ccy='EUR'>{decimal(abs(one.gross))}</Amt><CdtDbtInd>{mark}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
            f"<BookgDt><Dt>{one.day}</Dt></BookgDt><ValDt><Dt>{one.day}</Dt></ValDt>"
            # the charges have the opposite sign of the entry
            f"<Chrgs><Rcrd><Amt Ccy='EUR'>0.35</Amt><CdtDbtInd>DBIT</CdtDbtInd></Rcrd></Chrgs>"
            f"<NtryDtls><TxDtls><Refs><EndToEndId>{one.reference}</EndToEndId></Refs>"
            f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        )

    closing = opening + sum(one.gross for one in found)
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'>"
        "<BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-01-31T20:00:00</CreDtTm></GrpHdr><Stmt><Id>S-1</Id>"
        "<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        + balance("OPBD", opening, found[0].day)
        + balance("CLBD", closing, found[-1].day)
        + "\n".join(map(entry, found))
        + "</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def mapped_csv(found: Sequence[Movement], opening: int = 100_000) -> bytes:
    lines = ["Buchung;Wert;Betrag;Saldo;Referenz;Text"]
    balances = running([one.gross for one in found], opening)
    for one, balance in zip(found, balances, strict=True):
        amounts = ";".join(
            f"{Decimal(minor).scaleb(-2):,}".translate(str.maketrans(",.", ".,")) for minor in (one.gross, balance)
        )
        lines.append(f"{one.day:%d.%m.%Y};{one.day:%d.%m.%Y};{amounts};{one.reference};{one.text}")
    return "\n".join(lines).encode()


def stripe(found: Sequence[Movement]) -> bytes:
    rows = [",".join(STRIPE)]
    for number, one in enumerate(found):
        kind, source = ("charge", f"ch_{one.reference}") if one.gross > 0 else ("refund", f"re_{one.reference}")
        at = f"{one.moment:%Y-%m-%d %H:%M:%S}"
        values = [f"txn_{number}", at, at, "eur", *map(decimal, (one.gross, one.fee, one.net)), kind, source]
        rows.append(",".join([*values, f'"{one.text}"', "po_1", source, f"pi_{one.reference}"]))
    return "\n".join(rows).encode()


def wechat_trade(found: Sequence[Movement]) -> bytes:
    names = WECHAT_TRADE.split(",")
    rows = []
    for one in found:
        back = one.gross < 0
        amount = decimal(abs(one.gross))
        said = dict.fromkeys(names, "") | {
            "交易时间": f"{one.moment:%Y-%m-%d %H:%M:%S}",
            "商户号": "1900000109",
            "微信订单号": f"42{one.reference}",
            "商户订单号": one.reference,
            "交易状态": "REFUND" if back else "SUCCESS",
            "货币种类": "CNY",
            "应结订单金额": "0.00" if back else amount,
            "代金券金额": "0.00",
            "微信退款单号": f"50{one.reference}" if back else "0",
            "商户退款单号": f"r{one.reference}" if back else "0",
            "退款金额": amount if back else "0.00",
            "充值券退款金额": "0.00",
            "退款状态": "SUCCESS" if back else "",
            "商品名称": one.text,
            "手续费": f"{decimal(one.fee)}000",
            "费率": "0.60%",
            "订单金额": "0.00" if back else amount,
            "申请退款金额": amount if back else "0.00",
        }
        rows.append("`" + ",`".join(said.values()))
    came = decimal(sum(one.gross for one in found if one.gross > 0))
    went = decimal(sum(-one.gross for one in found if one.gross < 0))
    fees = f"{decimal(sum(one.fee for one in found))}000"
    sums = "`" + ",`".join((str(len(found)), came, went, "0.00", fees, came, went))
    return ("\ufeff" + "\r\n".join([WECHAT_TRADE, *rows, WECHAT_TOTALS, sums, ""])).encode()


def wechat_fund(found: Sequence[Movement], opening: int = 100_000) -> bytes:
    rows = []
    for one, balance in zip(found, running([one.gross for one in found], opening), strict=True):
        kind, way = ("交易", "收入") if one.gross > 0 else ("退款", "支出")
        at = f"{one.moment:%Y-%m-%d %H:%M:%S}"
        values = (at, f"42{one.reference}", one.reference, kind, kind, way, decimal(abs(one.gross)), decimal(balance))
        rows.append("`" + ",`".join((*values, "API", one.text, "")))
    came, went = [one.gross for one in found if one.gross > 0], [-one.gross for one in found if one.gross < 0]
    sums = (len(found), len(came), decimal(sum(came)), len(went), decimal(sum(went)))
    ends = ["资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额", "`" + ",`".join(map(str, sums))]
    return "\n".join([WECHAT_FUND, *rows, *ends]).encode()


def _alipay(kind: str, found: Sequence[Movement], header: str, rows: Sequence[str], ends: Sequence[str]) -> bytes:
    first, last = (f"{day:%Y年%m月%d日} 00:00:00" for day in (found[0].day, found[-1].day + timedelta(days=1)))
    begin = [f"#支付宝{kind}查询", "#账号：[20881234567890120156]", f"#起始日期：[{first}]   终止日期：[{last}]"]
    lines = [
        *begin,
        f"#-----{kind}列表-----",
        header,
        *rows,
        f"#-----{kind}列表结束-----",
        *ends,
        "#导出时间：[2026年02月01日 03:00:00]",
    ]
    return "\r\n".join([*lines, ""]).encode("gbk")


def alipay_trade(found: Sequence[Movement]) -> bytes:
    names = ALIPAY_TRADE.split(",")
    rows = []
    for one in found:
        said = dict.fromkeys(names, "") | {
            "支付宝交易号": f"2026{one.reference}\t",
            "商户订单号": f"{one.reference}\t",
            "业务类型": "交易" if one.gross > 0 else "退款",
            "商品名称": one.text.replace(",", "，").replace("ü", "u").replace("ö", "o"),
            "完成时间": f"{one.moment:%Y-%m-%d %H:%M:%S}",
            "订单金额（元）": decimal(one.gross),
            "商家实收（元）": decimal(one.gross),
            "退款批次号/请求号": "" if one.gross > 0 else f"q{one.reference}",
            "服务费（元）": decimal(-one.fee),
            "分润（元）": "0.00",
        }
        rows.append(",".join(said.values()))
    came, went = [one.gross for one in found if one.gross > 0], [one.gross for one in found if one.gross < 0]
    ends = [
        f"#交易合计：{len(came)}笔，商家实收共{decimal(sum(came))}元，商家优惠共0.00元",
        f"#退款合计：{len(went)}笔，商家实收退款共{decimal(sum(went))}元，商家优惠退款共0.00元",
    ]
    return _alipay("业务明细", found, ALIPAY_TRADE, rows, ends)


def alipay_account(found: Sequence[Movement], opening: int = 100_000) -> bytes:
    rows = []
    for one, balance in zip(found, running([one.gross for one in found], opening), strict=True):
        at = f"{one.moment:%Y-%m-%d %H:%M:%S}"
        came, went = (decimal(one.gross), "0.00") if one.gross > 0 else ("0.00", decimal(one.gross))
        kind = "在线支付" if one.gross > 0 else "交易退款"
        values = (
            f"{one.reference}\t",
            f"2026{one.reference}\t",
            f"o{one.reference}\t",
            "茶\t",
            at,
            "a@b.c",
            came,
            went,
        )
        rows.append(",".join((*values, decimal(balance), "支付宝", kind, "")))
    income, spent = [one.gross for one in found if one.gross > 0], [-one.gross for one in found if one.gross < 0]
    ends = [
        f"#支出合计：{len(spent)}笔，共{decimal(-sum(spent))}元",
        f"#收入合计：{len(income)}笔，共{decimal(sum(income))}元",
    ]
    newest_first = rows[::-1]
    return _alipay("账务明细", found, ALIPAY_ACCOUNT, newest_first, ends)


def paypal(found: Sequence[Movement]) -> bytes:
    def row(*values: object) -> str:
        return ",".join(str(value) if isinstance(value, int) else f'"{value}"' for value in values)

    rows = []
    for one in found:
        at = f"{one.moment:%Y/%m/%d %H:%M:%S} +0000"
        mark, code = ("CR", "T0006") if one.gross > 0 else ("DR", "T1107")
        fee = ("DR", one.fee, "EUR") if one.fee else ("", "", "")
        rows.append(
            row(
                "SB",
                f"P{one.reference}",
                one.reference,
                "",
                "",
                code,
                at,
                at,
                mark,
                abs(one.gross),
                "EUR",
                *fee,
                one.text,
            )
        )
    sums = (
        sum(one.gross for one in found if one.gross > 0),
        sum(-one.gross for one in found if one.gross < 0),
        0,
        sum(one.fee for one in found),
    )
    begin, end = (f"{day:%Y/%m/%d} 00:00:00 +0000" for day in (found[0].day, found[-1].day))
    head = [
        row("RH", end, "A", "MERCHANT", 11),
        row("FH", 1),
        row("SH", begin, end, "MERCHANT", ""),
        row("CH", *PAYPAL),
    ]
    ends = [
        row("SF", "EUR", *sums, *["CR", 0] * 4),
        row("SC", len(found)),
        row("RF", "EUR", *sums),
        row("RC", len(found)),
        row("FF", 1),
    ]
    return "\n".join([*head, *rows, *ends]).encode("utf-8-sig")


class Written(NamedTuple):
    """A written file. `nets`: whether the format states fees, which are then withheld. `proves`: the parts that its own
    sums prove."""

    format: str
    write: Callable[[Sequence[Movement]], bytes]
    nets: bool
    balances: bool
    mapping: str | None = None
    proves: Literal["everything", "gross", "lines"] = "everything"


WRITTEN: Mapping[str, Written] = {
    "mt940": Written("mt940", mt940, nets=False, balances=True),
    "camt.053": Written("camt.053", camt053, nets=False, balances=True),
    "csv": Written("csv", mapped_csv, nets=False, balances=True, mapping=MAPPING, proves="lines"),
    "stripe": Written("stripe", stripe, nets=True, balances=False, proves="lines"),
    "wechat-trade": Written("wechat-trade", wechat_trade, nets=True, balances=False),
    "wechat-fund": Written("wechat-fund", wechat_fund, nets=False, balances=True),
    "alipay-trade": Written("alipay", alipay_trade, nets=True, balances=False, proves="gross"),
    "alipay-account": Written("alipay", alipay_account, nets=False, balances=True),
    "paypal": Written("paypal", paypal, nets=True, balances=False),
}
