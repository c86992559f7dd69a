"""Signatures of Alipay, with test keys: Alipay's package for Python signs and verifies the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from alipay import AliPay
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from oms_es.gateways.notices import CannotDecide, Forged
from oms_es.gateways.outgoing import NoAnswer
from oms_es.gateways.payment.alipay import client as alipay_client
from oms_es.gateways.payment.alipay.signing import fields_in, joined, node_in, to_fen, to_yuan
from oms_es.gateways.payment.rsa import is_signed, signature_of
from oms_es.gateways.payment.wechatpay import client as wechatpay_client

SUBJECTS = ["100%", "a+b", "{x}", "红茶 250g", "a*b~c", 'say "hi"', "a&b=c", "tab\there", "back\\slash", "x" * 256]


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


@cache
def sdk() -> Any:
    private = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return AliPay("2014", None, private, public, sign_type="RSA2")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_request_is_signed_as_its_own_package_signs(subject: str) -> None:
    fields = {"method": "alipay.trade.query", "app_id": "2014", "biz_content": json.dumps({"subject": subject})}
    signature = signature_of(key(), joined(fields).encode())
    assert sdk().sign_data(dict(fields)).endswith(f"&sign={quote_plus(signature)}")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_report_is_verified_as_its_own_package_verifies(subject: str) -> None:
    fields = {"subject": subject, "total_amount": "1.00", "empty": "", "charset": "utf-8"}
    signature = signature_of(key(), joined(fields).encode())
    body = urlencode({**fields, "sign": signature, "sign_type": "RSA2"}).encode()
    found, charset = fields_in(body)
    said = joined(found, "sign", "sign_type").encode(charset)
    assert is_signed(key().public_key(), found["sign"], said)
    assert sdk().verify({**fields, "sign_type": "RSA2"}, signature)
    assert not is_signed(key().public_key(), found["sign"], said.replace(b"1.00", b"0.01"))


def test_a_report_in_gbk_is_verified_in_gbk() -> None:
    said = joined({"subject": "红茶", "charset": "GBK"}).encode("gbk")
    signature = signature_of(key(), said)
    body = urlencode({"subject": "红茶", "charset": "GBK", "sign": signature}, encoding="gbk").encode()
    fields, charset = fields_in(body)
    assert (fields["subject"], charset) == ("红茶", "gbk")
    assert is_signed(key().public_key(), signature, joined(fields, "sign").encode(charset))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"a=1&a=2", Forged),
        (b"a=%ff", Forged),
        ("a=é".encode(), Forged),
        (b"&".join(b"f%d=1" % number for number in range(101)), Forged),
        (b"charset=utf-7&a=1", CannotDecide),
    ],
)
def test_what_is_no_form_as_it_must_be_is_not_read(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        fields_in(body)


@pytest.mark.parametrize(
    "raw",
    [
        '{"code":"10000","subject":"a\\"}{"}',
        '{"code" : "10000", "x_response":{"deep":[1,{}]}, "n":1.50}',
        '{"url":"https:\\/\\/qr.alipay.com\\/x","name":"\\u7ea2"}',
        "{}",
    ],
)
def test_an_answer_s_node_is_cut_out_to_the_byte(raw: str) -> None:
    signature = signature_of(key(), raw.encode())
    for body in (
        f'{{"x_response":{raw},"sign":"{signature}"}}',
        f' {{ "sign" : "{signature}" , "x_response" : {raw} , "more" : [1, "x_response"] }} ',
    ):
        node = node_in(body.encode(), "x_response")
        assert node.raw == raw.encode()
        assert is_signed(key().public_key(), node.sign, node.raw)
        assert not is_signed(key().public_key(), node.sign, node.raw + b" ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"x_response":{}',
        b'{"a":1 "b":2}',
        b'{"x_response":{},"x_response":{}}',
        b'{"y":{}}',
        b"\xff",
        b'{"x_response":{},"sign":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
def test_an_answer_without_the_node_is_none(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        node_in(body, "x_response")


@pytest.mark.parametrize("answer", [b"[]", b"1", b"null", b"{", b"\xff", b"[" * 5_000 + b"]" * 5_000])
@pytest.mark.parametrize("read", [alipay_client.object_in, wechatpay_client.object_in])
def test_an_answer_that_is_no_object_is_none(read: Callable[[bytes], object], answer: bytes) -> None:
    with pytest.raises(NoAnswer):
        read(answer)


@given(st.integers(0, 10**14 - 1))
def test_fen_go_out_as_yuan_with_two_decimals_and_come_back(fen: int) -> None:
    assert to_fen(to_yuan(fen)) == fen
    assert len(to_yuan(fen).partition(".")[2]) == 2


@pytest.mark.parametrize(("text", "fen"), [("0.01", 1), ("1", 100), ("1.5", 150), ("88.88", 8_888)])
def test_a_zero_may_be_left_out_at_the_end(text: str, fen: int) -> None:
    assert to_fen(text) == fen


@pytest.mark.parametrize("text", ["1.005", "1e2", "-1.00", "+1", "1,00", "01.00", "NaN", "", "１", "1.", ".5"])
def test_what_is_no_whole_number_of_fen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="yuan"):
        to_fen(text)
