"""Sending one webhook: to a public address only, once, without following redirects.

Invariant: the address that is checked is the one that the socket is connected to, so that no name can be resolved to
another between check and sending; no receiver can make it last longer than SECONDS_MAX or make it read more than
BYTES_MAX.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Timer
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.schemas.values.webhooks import Target, target_in

SECONDS_MAX = 15.0
CONNECT_SECONDS_MAX = 5.0
ADDRESSES_MAX = 4
BYTES_MAX = 4_096
"""Bytes of an answer that are read; only its status counts."""
COMPATIBLE = IPv6Network("::/96")
"""IPv6 addresses that contain an IPv4 address in the form before RFC 4291."""
TRANSLATED = ip_network("64:ff9b::/96")
"""IPv6 addresses that are translated to IPv4 (RFC 6052)."""
Address = IPv4Address | IPv6Address
Networks = Sequence[Any]


class BadUrl(OmsError):
    """Webhooks cannot be sent to this URL: give an https URL without credentials or fragment."""

    code = "bad_url"
    exit_code = Code.USAGE


class NotPublic(OmsError):
    """The URL's name resolves to an address that is not public: list its network in OMS_WEBHOOK_NETWORKS if it is
    yours."""

    code = "not_public"
    exit_code = Code.USAGE


def target_of(url: str) -> Target:
    """Return the parts of the URL. Raise BadUrl."""
    try:
        return target_in(url)
    except ValueError as error:
        raise BadUrl(str(error)) from None


def is_public(address: Address) -> bool:
    """Return whether the address is public; of an IPv6 address that contains an IPv4 address, whether that one is."""
    if isinstance(address, IPv6Address):
        if (inner := address.ipv4_mapped or address.sixtofour or _translated(address)) is not None:
            return is_public(inner)
        if address in COMPATIBLE:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _translated(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in TRANSLATED else None


def is_allowed(address: Address, networks: Networks) -> bool:
    """Return whether the address is in one of the networks that the operator has listed."""
    plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    return any(plain in network for network in networks)


def networks_of(text: str) -> Networks:
    """Parse a list of networks. Raise ValueError."""
    return [ip_network(one.strip()) for one in text.split(",") if one.strip()]


def post(url: str, headers: Mapping[str, str], body: bytes, networks: Networks = ()) -> int:
    """Send a webhook and return the status. Raise OSError, http.client.HTTPException, BadUrl or NotPublic."""
    target = target_of(url)
    asking = http.client.HTTPConnection(target.host, target.port)
    cutting = Timer(SECONDS_MAX, _cut, [asking])
    cutting.daemon = True
    try:
        asking.sock = _connected(target, networks)
        cutting.start()
        return _asked(target, asking, headers, body)
    finally:
        cutting.cancel()
        asking.close()


def _connected(target: Target, networks: Networks) -> socket.socket:
    """Connect to the first address that answers; the check is made on the connected socket, not on the name."""
    last: OSError = OSError("the name has no address")
    for family, kind, protocol, _, place in _addresses(target):
        _require_reachable(str(place[0]), target, networks)
        one = socket.socket(family, kind, protocol)
        try:
            one.settimeout(CONNECT_SECONDS_MAX)
            one.connect(place)
            _require_reachable(one.getpeername()[0], target, networks)
        except OSError as error:
            one.close()
            last = error
        except NotPublic:
            one.close()
            raise
        else:
            return one
    raise last


def _addresses(target: Target) -> Sequence[Any]:
    return socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)[:ADDRESSES_MAX]


def _require_reachable(host: str, target: Target, networks: Networks) -> None:
    """Raise NotPublic if webhooks may not be sent to the address."""
    address = ip_address(host.partition("%")[0])
    if is_allowed(address, networks):
        return
    if not is_public(address):
        raise NotPublic("the address is not public")
    if not target.is_tls:
        raise NotPublic("only https is sent to public addresses")


def _asked(target: Target, asking: http.client.HTTPConnection, headers: Mapping[str, str], body: bytes) -> int:
    asking.sock.settimeout(SECONDS_MAX)
    if target.is_tls:
        context = ssl.create_default_context()
        asking.sock = secured = context.wrap_socket(
            asking.sock, server_hostname=target.host, do_handshake_on_connect=False
        )
        secured.do_handshake()
    named = f"[{target.host}]" if ":" in target.host else target.host
    host = named if target.port == (443 if target.is_tls else 80) else f"{named}:{target.port}"
    asking.request("POST", target.path, body, {**headers, "Host": host, "Connection": "close"})
    with asking.getresponse() as answer:
        answer.read(BYTES_MAX)
        return answer.status


def _cut(asking: http.client.HTTPConnection) -> None:
    """Shut the socket down, so that an answer that trickles in ends with an error, too."""
    with suppress(OSError):
        socket.socket.shutdown(asking.sock, socket.SHUT_RDWR)
