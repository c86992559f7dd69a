"""Readers of statements of banks and payment providers: bytes to typed statements, or BadInput that names the line.

Pure: no I/O, no clock. Each file reads one format; FORMATS names them all. Imports: schemas and kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oms_es.statements import alipay, camt053, mapped_csv, mt940, paypal, stripe, wechat
from oms_es.statements.reading import Options, Statement

FORMATS: Mapping[str, Callable[[bytes, Options], Sequence[Statement]]] = {
    "camt.053": camt053.read,
    "mt940": mt940.read,
    "csv": mapped_csv.read,
    "stripe": stripe.read,
    "wechat-trade": wechat.read_trade,
    "wechat-fund": wechat.read_fund,
    "alipay": alipay.read,
    "paypal": paypal.read,
}
