"""Statements over HTTP: imported, reconciled, explained, settled and closed; and the books are read."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from json import loads
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from http_server import Served, token
from oms_es.errors import NotFound
from oms_es.http import background
from oms_es.http.background import Background, Cancelled, Progress
from oms_es.http.finance import asking
from oms_es.processing.committer import Busy
from oms_es.statements.reading import BYTES_MAX

SENT = """:20:STARTUMS
:25:10020030/1234567
:28C:1/1
:60F:C191231EUR1000,00
:61:2001050105CR96,55NTRFSTRIPE-PO1//B1
:86:166?00GUTSCHRIFT?20EREF+PO-1?21SVWZ+STRIPE PAYOUT
:61:2001070107D12,00NCHGNONREF
:86:808?00ENTGELT
:62F:C200131EUR1084,55
-
"""
"""Of a month in which nothing else moved."""
BYTES = {"Content-Type": "application/octet-stream"}


def sent(client: httpx.Client, account: str, text: str = SENT, **more: str) -> httpx.Response:
    given = {"format": "mt940", "account": account, **more}
    return client.post("/v1/statements", params=given, content=text.encode(), headers=BYTES)


def until_done(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Repeat the request until it is done: a busy machine may answer later."""
    until = time.monotonic() + 60
    while (answer := ask()).status_code == 202:
        assert answer.json()["state"] == "running"
        assert time.monotonic() < until
        time.sleep(0.1)
    return answer


def ran(client: httpx.Client, account: str, **more: Any) -> dict[str, Any]:
    answer = until_done(lambda: client.post(f"/v1/reconcile/{account}:run", json=more))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def as_far(client: httpx.Client, path: str, position: int, **params: str) -> dict[str, Any]:
    answer = client.get(path, params=params, headers={"Oms-Min-Position": str(position)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_statement_is_imported_once_and_what_does_not_add_up_is_refused_with_the_difference(
    client: httpx.Client,
) -> None:
    first = until_done(lambda: sent(client, "bank-in"))
    assert first.status_code == 200, first.text
    (one,) = first.json()["statements"]
    assert (one["statement_id"], one["lines"], one["outcome"]) == ("2020-01-31/1/1", 2, "imported")
    assert first.headers["Oms-Position"] == str(one["position"])
    again = until_done(lambda: sent(client, "bank-in"))
    assert [(row["outcome"], row["position"]) for row in again.json()["statements"]] == [("repeated", None)]
    short = until_done(lambda: sent(client, "bank-in", SENT.replace("96,55", "97,55")))
    assert (short.status_code, short.json()["reason"]) == (422, "bad_statement")
    assert "-1.00 EUR is missing" in short.json()["detail"]
    other = until_done(lambda: sent(client, "bank-in", SENT.replace("96,55", "97,55").replace("1084,55", "1085,55")))
    assert (other.status_code, other.json()["reason"]) == (409, "statement_differs")
    rows = client.get("/v1/statements", params={"account": "bank-in"}).json()["items"]
    assert [row["closing_minor"] for row in rows] == [108_455]


def test_what_is_no_statement_is_refused_before_it_is_read(served: Served, client: httpx.Client) -> None:
    assert client.post("/v1/statements?format=mt940", content=b"x", headers={"Content-Type": "x/y"}).status_code == 415
    assert sent(client, "bank-in", format="none").status_code == 422
    assert sent(client, "bank-in", encoding="none").status_code == 422
    assert sent(client, "bank-in", "x" * (BYTES_MAX + 1)).status_code == 413
    assert until_done(lambda: sent(client, "not an account")).status_code == 422
    assert "4,000" in sent(client, "bank-in", format="csv", mapping="a" * 4_001).json()["errors"][0]["detail"]
    of_chinese = sent(client, "bank-in", format="csv", mapping="日" * 1_000)
    assert (of_chinese.status_code, "8,192" in of_chinese.json()["detail"]) == (400, True)
    with served.client("of-web") as one:
        assert sent(one, "bank-in").status_code == 403
        for path in ("/v1/reconcile", "/v1/reconcile/bank-in", "/v1/books/trial-balance"):
            assert one.get(path).status_code == 403, path


def test_what_lines_say_of_people_is_shown_to_those_alone_who_may_see_people(
    served: Served, client: httpx.Client
) -> None:
    account = "bank-seen"
    position = int(until_done(lambda: sent(client, account)).headers["Oms-Position"])
    lines = as_far(client, "/v1/statement-lines", position, account=account)["items"]
    assert {"text", "parts"} <= lines[0].keys()
    with served.client("warehouse") as of_warehouse:
        assert of_warehouse.get("/v1/statement-lines", params={"account": account}).status_code == 403
    blind = token(served.database_url, "blind", ["finance:read", "events:read"])
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {blind}"}) as other:
        seen = other.get("/v1/statement-lines", params={"account": account}).json()["items"]
        assert [{"text", "parts"} & row.keys() for row in seen] == [set()] * len(lines)
        path = f"/v1/events?type=StatementLinesRecorded&after={position - 3}"
        shown = other.get(path).json()["items"]
        assert {line["text"] for one in shown for line in one["data"]["lines"]} == {""}


def test_an_account_is_run_explained_settled_and_closed(client: httpx.Client) -> None:
    account = "bank-run"
    assert until_done(lambda: client.post(f"/v1/reconcile/{account}:run", json={})).status_code == 404
    position = until_done(lambda: sent(client, account)).headers["Oms-Position"]
    as_far(client, "/v1/statement-lines", int(position), account=account)
    first = ran(client, account)
    assert (first["lines"], first["matched"], first["breaks"]) == (2, 0, 2)
    again = ran(client, account)
    assert (again["matched"], again["position"]) == (0, None)
    asked = {"account": account, "status": "open", "kind": "missing_here"}
    row, other = as_far(client, "/v1/reconciliation-breaks", first["position"], **asked)["items"]
    assert [(one["amount_minor"], one["day"]) for one in (row, other)] == [
        (9_655, "2020-01-05"),
        (-1_200, "2020-01-07"),
    ]
    line = row["lines"][0]
    explained = client.get(f"/v1/reconcile/{account}/explain", params={"line": line}).json()
    assert ([one["break_id"] for one in explained["breaks"]], explained["matches"]) == ([row["break_id"]], [])
    assert client.get(f"/v1/reconcile/{account}/explain", params={"line": "none/1"}).status_code == 404
    report = client.get(f"/v1/reconcile/{account}").json()
    assert (report["closed_through"], report["matches"]["matches"]) == ("", 0)
    (counted,) = report["breaks"]
    assert (counted["kind"], counted["breaks"], counted["older"], counted["week"]) == ("missing_here", 2, 2, 0)
    assert [one["closing_minor"] for one in report["balances"]] == [108_455]
    close = {"through": "2020-01-31"}
    assert client.post(f"/v1/reconcile/{account}:close", json=close).status_code == 409
    for one in (row, other):
        settled = {"difference": one["break_id"], "resolution": "accepted"}
        assert client.post(f"/v1/reconcile/{account}:resolve", json=settled).status_code == 200
    closed = client.post(f"/v1/reconcile/{account}:close", json=close).json()["position"]
    report = as_far(client, f"/v1/reconcile/{account}", closed)
    assert (report["closed_through"], report["closed_by"][:4]) == ("2020-01-31", "key:")
    (mine,) = [one for one in client.get("/v1/reconcile").json()["items"] if one["account"] == account]
    assert (mine["open_breaks"], mine["closed_through"], mine["opening_minor"]) == (0, "2020-01-31", 100_000)
    terms: Any = {"since": "2020-01-01", "terms": [{"method": "card", "basis_points": 140}]}
    agreed = client.post(f"/v1/reconcile/{account}:set-fee-terms", json=terms).json()["position"]
    report = as_far(client, f"/v1/reconcile/{account}", agreed)
    assert report["fee_terms"] == [{"since": "2020-01-01", "terms": [{**terms["terms"][0], "fixed_minor": 0}]}]
    assert report["closed_through"] == "2020-01-31"
    assert client.get("/v1/reconcile/no-such").status_code == 404
    second = until_done(lambda: sent(client, "bank-second")).headers["Oms-Position"]
    as_far(client, "/v1/reconcile", int(second))
    named: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get("/v1/reconcile", params={"limit": 1, **after}).json()
        named += [one["account"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert named == sorted(set(named))
    assert {account, "bank-second"} <= set(named)
    assert client.get("/v1/reconcile", params={"after": "no row"}).status_code == 422


def test_the_books_sum_to_zero_and_an_account_shows_its_postings(client: httpx.Client) -> None:
    until_done(lambda: sent(client, "bank-books"))
    found = until_done(lambda: client.get("/v1/books/trial-balance")).json()
    assert set(found["totals_minor"].values()) == {0}
    january = {"from": "2020-01-01", "to": "2020-01-31", "currency": "EUR"}
    found = until_done(lambda: client.get("/v1/books/trial-balance", params=january)).json()
    (mine,) = [row for row in found["accounts"] if row["account"] == "assets:statements:bank-books"]
    assert mine["closing_minor"] == 9_655 - 1_200
    path = "/v1/books/accounts/assets:statements:bank-books"
    page = until_done(lambda: client.get(path, params={"limit": 1})).json()
    rest = until_done(lambda: client.get(path, params={"limit": 5, "after": page["next"]})).json()
    assert [row["balance_minor"] for row in (*page["items"], *rest["items"])][-1] == 9_655 - 1_200
    assert until_done(lambda: client.get("/v1/books/accounts/none")).status_code == 404
    for wrong in ({"from": "soon"}, {"currency": "eur"}, {"from": "2020-02-01", "to": "2020-01-01"}):
        assert client.get("/v1/books/trial-balance", params=wrong).status_code == 422, wrong


def test_what_the_chart_has_not_is_not_looked_for_and_a_job_has_its_callers_alone(client: httpx.Client) -> None:
    for name in ("none", "assets:none", "assets:clearing:Card", "assets:clearing:a:b"):
        answer = client.get(f"/v1/books/accounts/{name}")
        assert (answer.status_code, answer.json()["detail"][:9]) == (404, "the chart"), name
    assert client.get(f"/v1/finance/jobs/{'0' * 32}").status_code == 404


def test_who_asks_again_is_given_what_is_under_way_and_little_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "WAITING_MAX", 1)
    asyncio.run(asked_again())


async def asked_again() -> None:
    works, begun = Background("tried"), []

    def slow(progress: Progress) -> int:
        begun.append(1)
        while len(begun) < 10:
            time.sleep(0.01)
            progress(len(begun), 10)
        return 7

    job = works.job("a", "one", slow)
    assert not await works.ended(job, 0.05)
    assert job.running()["state"] == "running"
    assert works.job("a", "one", slow) is job
    with pytest.raises(Busy, match="of yours"):
        works.job("b", "one", slow)
    works.job("b", "two", slow)
    with pytest.raises(Busy):
        works.job("c", "three", slow)
    with pytest.raises(Busy):
        works.require_room("three")
    works.require_room("two")
    begun.extend([1] * 9)
    assert await works.ended(job, 30)
    assert (job.result.result(), works.find(job.id, "one"), works.find(job.id, "two")) == (7, job, None)
    begun.clear()
    again = works.job("a", "one", slow)
    assert again is not job
    assert not await works.ended(again, 0.05)
    works.close()
    with pytest.raises(Cancelled):
        again.result.result(30)


def test_an_answer_that_no_one_fetched_is_not_that_of_the_next_night() -> None:
    works = Background("tried")
    first = works.job("run", "one", lambda _: 1)
    assert first.result.result(30) == 1
    assert works.job("run", "one", lambda _: 2) is first
    works.kept_seconds = 0.0
    assert works.job("run", "one", lambda _: 2).result.result(30) == 2
    assert works.find(first.id, "one") is None


def test_a_refusal_that_no_one_waits_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        works = Background("tried")
        for seconds in (0.0, 30.0):
            job = works.job(seconds, "one", lambda _: int("what was sent"))
            await works.ended(job, seconds)
            with pytest.raises(ValueError, match="what was sent"):
                job.result.result(30)
            await asyncio.sleep(0.01)
        del job
        gc.collect()

    asyncio.run(refused())
    assert caplog.text == ""


def test_what_takes_longer_is_answered_with_a_job_that_says_what_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.05)
    asyncio.run(answered_later())


async def answered_later() -> None:
    works, may_end = Background("tried"), threading.Event()

    def do(_: Progress) -> int:
        may_end.wait(30)
        raise Busy("refused in the end")

    class Caller:
        actor = "one"

        @staticmethod
        def require_all_channels(_: str) -> None: ...

    def json(value: Any, status: int = 200, headers: Any = None) -> Response:
        return JSONResponse(value, status, headers)

    asked: Any = SimpleNamespace(
        services=SimpleNamespace(background=works), caller=Caller, route=SimpleNamespace(name="run"), json=json
    )
    answer = await asking.answered(asked, "a", do, lambda found: found)
    job = loads(bytes(answer.body))["job"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/finance/jobs/{job}")
    asked.values = {"job": job}
    assert (await asking.look(asked)).status_code == 202
    may_end.set()
    begun = works.find(job, "one")
    assert begun
    with pytest.raises(Busy):
        begun.result.result(30)
    for _ in range(2):
        with pytest.raises(Busy, match="refused in the end"):
            await asking.look(asked)
    Caller.actor = "two"
    with pytest.raises(NotFound):
        await asking.look(asked)
