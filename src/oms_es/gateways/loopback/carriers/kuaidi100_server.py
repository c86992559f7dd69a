"""Kuaidi100 on 127.0.0.1: histories of numbers, queried or pushed whole, with answers that get lost.

Invariant: a query is answered only if its digest is valid; a push has the whole history at that time, signed with the
salt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode

from oms_es.gateways.loopback.serving import serving

Mishap = Literal["", "lost", "broken", "busy", "strange"]
"""A failure after the request was done. `lost`: no answer comes; `broken`: error 500; `busy`: the answer says that the
server is busy; `strange`: another site's page comes."""
Thing = dict[str, Any]
BODY_BYTES_MAX = 1_000_000
WORDS = {"0": "在途", "1": "揽收", "2": "疑难", "3": "签收", "4": "退签", "5": "派件", "6": "退回", "14": "拒签"}
ENDED = ("3", "4", "14")


class Kuaidi100Server:
    """The server. `clock`: seconds since 1970. `mishap_of` returns the failure for the next request."""

    def __init__(
        self, customer: str, key: str, clock: Callable[[], float], mishap_of: Callable[[], Mishap] = lambda: ""
    ) -> None:
        self.customer = customer
        self.key = key
        self.clock = clock
        self.mishap_of = mishap_of
        self.histories: dict[tuple[str, str], list[Thing]] = {}
        self.states: dict[tuple[str, str], str] = {}
        self.followed: dict[tuple[str, str], Thing] = {}
        self.unsupported: set[str] = set()
        self.lock = Lock()
        self.requests = 0

    def scan(self, company: str, number: str, state: str, text: str, *, word: str = "") -> None:
        """Record a carrier's scan of a parcel; the newest entry comes first."""
        at = (datetime.fromtimestamp(self.clock(), UTC) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
        line = {"context": text, "time": at, "ftime": at, "status": word or WORDS[state]}
        self.histories.setdefault((company, number), []).insert(0, line)
        self.states[company, number] = state

    def result(self, company: str, number: str) -> Thing:
        state = self.states[company, number]
        return {
            "message": "ok",
            "nu": number,
            "ischeck": "1" if state in ENDED else "0",
            "com": company,
            "status": "200",
            "state": state,
            "condition": "F00",
            "data": self.histories[company, number],
        }

    def push(self, company: str, number: str, salt: str, **more: str) -> bytes:
        """Return the form that pushes the number's history."""
        ended = self.states[company, number] in ENDED
        push = {
            "status": "shutdown" if ended else "polling",
            "message": "",
            "autoCheck": "0",
            "comOld": "",
            "comNew": "",
            "lastResult": self.result(company, number),
            **more,
        }
        param = json.dumps(push, ensure_ascii=False)
        return urlencode({"param": param, "sign": _digest(param + salt)}).encode()

    def subscribe(self, form: dict[str, str]) -> Thing:
        wanted = json.loads(form.get("param", "{}"))
        name = wanted.get("company", ""), wanted.get("number", "")
        if wanted.get("key") != self.key:
            return _refused("600", "您不是合法的订阅者")
        if name[0] in self.unsupported:
            return _refused("701", "拒绝订阅的快递公司")
        if name in self.followed:
            return _refused("501", "重复订阅")
        self.followed[name] = wanted["parameters"]
        return {"result": True, "returnCode": "200", "message": "提交成功"}

    def answer(self, form: dict[str, str]) -> Thing:
        param = form.get("param", "")
        if form.get("customer") != self.customer or form.get("sign") != _digest(param + self.key + self.customer):
            return _refused("503", "验证签名失败")
        asked = json.loads(param)
        name = asked["com"], asked["num"]
        return self.result(*name) if name in self.histories else _refused("500", "查询无结果，请隔段时间再查")

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve, and yield the address to use instead of kuaidi100's."""
        with serving(_Handler, kuaidi100=self) as address:
            yield address


def _refused(code: str, message: str) -> Thing:
    return {"result": False, "returnCode": code, "message": message}


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest().upper()


class _Handler(BaseHTTPRequestHandler):
    kuaidi100: Kuaidi100Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        form = {name: values[-1] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        with self.kuaidi100.lock:
            self.kuaidi100.requests += 1
            mishap = self.kuaidi100.mishap_of()
            is_query = self.path == "/poll/query.do"
            said = self.kuaidi100.answer(form) if is_query else self.kuaidi100.subscribe(form)
            if mishap == "busy":
                said = _refused("501" if is_query else "500", "服务器错误")
        if mishap == "lost":
            self.close_connection = True
            return
        payload = b"<html>" if mishap == "strange" else json.dumps(said, ensure_ascii=False).encode()
        self.send_response(500 if mishap == "broken" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the engine's log has the requests."""
