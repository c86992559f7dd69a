"""Webhooks are sent to public addresses only, in whatever notation the address is written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from oms_es.gateways.webhooks import BadUrl, NotPublic, is_allowed, is_public, networks_of, post, target_of


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fc00::1", "ff02::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1"),
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("", "crm", "ftp://crm.example", "https://", "https:///x", "https://a b.example", "https://crm.example:99999"),
        *(
            "https://user@crm.example",
            "https://u:p@crm.example",
            "https://crm.example/#x",
            "https://crm.example/\r\nX: y",
        ),
        *("https://cr\u00fcm.example", "https://[::1", "https://crm.example/" + "x" * 2_000),
    ],
)
def test_urls_that_are_not_taken(url: str) -> None:
    with pytest.raises(BadUrl):
        target_of(url)


def test_a_network_that_is_named_has_the_mapped_addresses_too() -> None:
    named = networks_of("10.1.0.0/16, fd00::/8")
    assert all(is_allowed(ip_address(one), named) for one in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"))
    assert not any(is_allowed(ip_address(one), named) for one in ("10.2.0.1", "::ffff:10.2.0.1", "fe80::1"))


HERE = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"]


@pytest.mark.parametrize("host", HERE)
def test_nothing_is_connected_to_this_machine(host: str) -> None:
    with pytest.raises((NotPublic, OSError)) as refused:
        post(f"https://{host}:1/", {}, b"{}")
    assert not isinstance(refused.value, ConnectionError), "somebody was asked"
