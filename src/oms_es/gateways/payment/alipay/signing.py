"""Alipay's signatures: over sorted parameters of requests, the bytes of an answer's node, and a report's fields.

Invariant: an answer's node is verified as it came, to the byte, before it is read; of a report only `sign` and
`sign_type` are left out, and empty fields are kept. Amounts are yuan with two decimals on the wire, and fen here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from oms_es.gateways.notices import CannotDecide, Forged
from oms_es.gateways.outgoing import NoAnswer

FIELDS_MAX = 100
CHARSETS = frozenset({"utf-8", "gbk", "gb2312", "gb18030"})
YUAN = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,2}))?", re.ASCII)


class Node(NamedTuple):
    """A node of an answer: its bytes as they came, and the signature beside it."""

    raw: bytes
    sign: str


def joined(fields: Mapping[str, str], *without: str) -> str:
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in without)


def to_yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def to_fen(text: str) -> int:
    """Return the amount in fen; a trailing zero may be left out. Raise ValueError for fractions of a fen, or text that
    is no amount."""
    found = YUAN.fullmatch(text)
    if not found:
        raise ValueError("it is no amount in yuan")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def node_in(body: bytes, name: str) -> Node:
    """Return the object under `name`, cut out of the answer's bytes. Raise NoAnswer."""
    try:
        parts = _members(body.decode())
        sign = str(json.loads(parts.get("sign", '""')))
    except (ValueError, RecursionError):
        raise NoAnswer("an answer is no object") from None
    raw = parts.get(name) or parts.get("error_response")
    if raw is None:
        raise NoAnswer(f"an answer has no {name}")
    return Node(raw.encode(), sign)


def _members(text: str) -> dict[str, str]:
    """Return each value of a JSON object as it is written. Raise ValueError."""
    decoder, found, at = json.JSONDecoder(), dict[str, str](), _after_space(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError
    at = _after_space(text, at + 1)
    while text[at : at + 1] != "}":
        name, at = decoder.raw_decode(text, at)
        at = _after_space(text, at)
        if not isinstance(name, str) or name in found or text[at : at + 1] != ":":
            raise ValueError
        start = _after_space(text, at + 1)
        _, end = decoder.raw_decode(text, start)
        found[name], at = text[start:end], _after_space(text, end)
        if text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError
    return found


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def fields_in(body: bytes) -> tuple[dict[str, str], str]:
    """Return the form's fields, decoded once, and its charset. Raise Forged, or CannotDecide for a charset that is not
    supported."""
    try:
        named = dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding="latin-1", max_num_fields=FIELDS_MAX)
        )
        charset = named.get("charset", "utf-8").lower()
        if charset not in CHARSETS:
            raise CannotDecide("it is in a charset that is not read")
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding=charset, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise Forged("it is no form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Forged("a field is there twice")
    return fields, charset
