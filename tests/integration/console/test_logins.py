"""People sign in to the console at an OpenID provider, through the redirects that a browser follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import psycopg
import pytest

from console_forms import browser, sent
from http_server import Served
from identity_provider import CLIENT
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.http.access import Caller
from oms_es.http.logins import Begun, Logins
from oms_es.http.tokens import IssuerUnavailable, Tokens


@pytest.fixture
def stranger(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def sent_to(served: Served, client: httpx.Client, to: str = "/console/orders") -> str:
    """Return the address to which the browser is sent."""
    page = client.get(f"/console/sign-in?next={quote(to, safe='')}").text
    assert f"Sign in at {served.provider.url}" in page
    answer = client.get("/console/sign-in/at", params={"next": to})
    assert answer.status_code == 303
    assert "httponly" in answer.headers["set-cookie"].lower()
    return answer.headers["location"]


def come_back(served: Served, client: httpx.Client, scope: str = "support", **claims: Any) -> httpx.Response:
    return client.get(served.provider.agree(sent_to(served, client), scope, **claims))


def test_a_person_signs_in_at_a_provider_and_acts_under_their_own_name(served: Served, stranger: httpx.Client) -> None:
    url = sent_to(served, stranger, "/console/orders?phase=held")
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{served.provider.url}/authorize?tenant=1&")
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == ([CLIENT], ["code"], ["openid"])
    assert asked["code_challenge_method"] == ["S256"]
    back = stranger.get(served.provider.agree(url, "support", sub="grace"))
    assert (back.status_code, back.headers["location"]) == (303, "/console/orders?phase=held")
    assert stranger.get("/console/orders").status_code == 200
    assert stranger.get("/console/keys").status_code == 403, "support makes no keys"
    assert sent(stranger, "/console/orders/views", {"name": "mine", "query": "channel=web"}).status_code == 303
    with psycopg.connect(served.database_url) as connection:
        actors = connection.execute("SELECT actor FROM oms_console_views WHERE name = 'mine'").fetchall()
    assert actors == [(f"user:{served.provider.url}#grace",)]
    assert sent(stranger, "/console/sign-out", {}).status_code == 303
    assert stranger.get("/console/orders").status_code == 303


def test_an_answer_counts_once_and_in_the_browser_that_asked(served: Served, stranger: httpx.Client) -> None:
    back = served.provider.agree(sent_to(served, stranger), "support")
    with httpx.Client(base_url=served.url, timeout=30) as other:
        assert other.get(back).status_code == 401, "another browser was sent there"
        other.get("/console/sign-in/at")
        assert other.get(back).status_code == 401, "and asked for something else"
    assert stranger.get(back).status_code == 303
    assert stranger.get(back).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"nonce": "of another request"},
        {"nonce": None},
        {"exp": 1},
        {"iss": "https://elsewhere.example"},
        {"azp": "another"},
        {"sub": ""},
        {"scope": 7},
        {"kid": "unknown"},
    ],
)
def test_an_id_token_that_is_not_for_this_request_signs_no_one_in(
    served: Served, stranger: httpx.Client, claims: dict[str, Any]
) -> None:
    answer = come_back(served, stranger, **{"scope": "support", **claims})
    assert answer.status_code == 401
    assert "did not work" in answer.text
    assert stranger.get("/console/orders").status_code == 303


def test_a_token_that_another_key_signed_signs_no_one_in(served: Served, stranger: httpx.Client) -> None:
    assert come_back(served, stranger, key=served.provider.other_rsa).status_code == 401
    assert stranger.get("/console/orders").status_code == 303


def test_who_declines_or_names_another_issuer_is_back_at_the_door(served: Served, stranger: httpx.Client) -> None:
    url = sent_to(served, stranger)
    state = parse_qs(urlsplit(url).query)["state"][0]
    declined = stranger.get("/console/sign-in/back", params={"error": "access_denied", "state": state})
    assert declined.status_code == 401
    back = f"{served.provider.agree(sent_to(served, stranger), 'support')}&iss=https%3A%2F%2Felsewhere.example"
    assert stranger.get(back).status_code == 401


def test_an_issuer_that_the_console_is_no_client_of_is_never_asked(served: Served, stranger: httpx.Client) -> None:
    """The client's secret belongs to one issuer, and the issuer in the browser's cookie can be forged."""
    forged = {"issuer": "http://127.0.0.1:1", "state": "a", "nonce": "b", "verifier": "c", "to": "/console"}
    headers = {"Cookie": f"oms_login={urlencode(forged)}"}
    assert stranger.get("/console/sign-in/back?state=a&code=x", headers=headers).status_code == 401
    tokens = Tokens([served.provider.url, "https://other.example"], "oms-es")
    logins = Logins(tokens, served.provider.url, CLIENT, None, "openid")
    assert logins.holds(Caller(f"user:{served.provider.url}#ada", frozenset()))
    assert not logins.holds(Caller("user:https://other.example#ada", frozenset()))
    assert not logins.holds(Caller("key:abc", frozenset()))


def test_an_issuer_asked_by_tls_names_no_place_without_it() -> None:
    tokens = Tokens(["https://id.example"], "oms-es")
    published = tokens.published["https://id.example"]
    published._said = {"authorization_endpoint": "http://id.example/authorize"}
    published._at = published._monotonic()
    with pytest.raises(IssuerUnavailable):
        Logins(tokens, "https://id.example", CLIENT, None, "openid").url(Begun.at("https://id.example", "/"), "x")


def test_signing_in_leads_to_no_other_site(served: Served, stranger: httpx.Client) -> None:
    back = served.provider.agree(sent_to(served, stranger, "//elsewhere.example/console"), "support")
    assert stranger.get(back).headers["location"] == "/console"


def test_a_session_is_ended_from_outside_and_only_that_one(served: Served, stranger: httpx.Client) -> None:
    assert come_back(served, stranger, sub="linus").status_code == 303
    actor = f"user:{served.provider.url}#linus"
    with browser(served) as operator, httpx.Client(base_url=served.url, timeout=30) as other:
        assert come_back(served, other, sub="margaret").status_code == 303
        with served.client() as api:
            (session,) = [one for one in api.get("/v1/sessions").json()["items"] if one["actor"] == actor]
        assert actor in operator.get("/console/keys").text
        path = f"/console/sessions/{session['session_id']}:end"
        assert sent(other, path, {}, of="/console/orders").status_code == 403, "support ends no sessions"
        assert sent(operator, path, {}, of="/console/keys").status_code == 303
        assert [one.get("/console/orders").status_code for one in (stranger, other)] == [303, 200]
        assert sent(operator, path, {}, of="/console/keys").status_code == 404


def test_all_sessions_of_a_person_are_ended_in_the_terminal(
    served: Served, stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert come_back(served, stranger, sub="barbara").status_code == 303
    monkeypatch.setenv("OMS_DATABASE_URL", served.database_url)
    actor = f"user:{served.provider.url}#barbara"
    assert main(["keys", "sessions"]) == Code.OK
    assert "#barbara" in capsys.readouterr().out
    assert [main(["keys", "end-sessions", actor]) for _ in range(2)] == [Code.OK, Code.NOT_FOUND]
    assert stranger.get("/console/orders").status_code == 303
