"""Signing in with a key or at a provider, signing out, choosing the language, and the files that pages need."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.console.people import PATH, by_tls, forget, remember, sign_in, sign_in_as, sign_out
from oms_es.console.rendering import statics
from oms_es.console.routes import ANY, OPEN, form, page
from oms_es.console.texts import LANGUAGES
from oms_es.console.visits import Visit, own_path
from oms_es.http.errors import NoAccess, NoResource
from oms_es.http.logins import Begun, Logins
from oms_es.http.tokens import IssuerUnavailable

LANGUAGE_COOKIE = "oms_language"
LANGUAGE_SECONDS = 31_536_000
LOGIN_COOKIE = "oms_login"
LOGIN_SECONDS_MAX = 600
"""The time in which a person must finish signing in at a provider."""
LOGIN_PATH = "/console/sign-in"
ANSWER_PATH = f"{LOGIN_PATH}/back"
FOR_EVER = "public, max-age=31536000, immutable"


async def home(visit: Visit) -> Response:
    """Redirect to the first page that the person may see."""
    return visit.go(visit.places[0].path)


async def sign_in_page(visit: Visit) -> Response:
    if visit.person.is_known:
        return visit.go(own_path(visit.one("next")))
    return _sign_in_page(visit, own_path(visit.one("next")))


def _sign_in_page(visit: Visit, to: str, wrong: str = "", status: int = 200) -> Response:
    """Return the sign-in page. `wrong`: the key of the message about the failed attempt."""
    logins = visit.asked.services.logins
    return visit.page("sign_in.html", status, next=to, wrong=wrong, issuer=logins.issuer if logins else "")


async def signed_in(visit: Visit) -> Response:
    """Sign in with a key; a wrong key shows the form again."""
    to = own_path(visit.form.get("next"))
    services = visit.asked.services
    try:
        person = await run_in_threadpool(sign_in, services, visit.form.get("key", "").strip())
    except NoAccess:
        return _sign_in_page(visit, to, "wrong", 401)
    response = visit.go(to)
    remember(response, visit.asked.request, person.name)
    return response


async def sign_in_at(visit: Visit) -> Response:
    """Redirect the browser to the provider. Raise NoResource, IssuerUnavailable or Busy."""
    logins = _logins(visit)
    begun = Begun.at(logins.issuer, own_path(visit.one("next")))
    url = await run_in_threadpool(logins.url, begun, _answer_url(visit))
    response = visit.go(url)
    response.set_cookie(LOGIN_COOKIE, begun.text, LOGIN_SECONDS_MAX, **_login_cookie(visit))
    return response


async def signed_in_at(visit: Visit) -> Response:
    """Finish signing in with the provider's answer, which counts once. Raise NoResource or Busy."""
    to = "/console"
    try:
        begun = Begun.read(visit.asked.request.cookies.get(LOGIN_COOKIE, ""))
        to = own_path(begun.to)
        caller = await run_in_threadpool(_logins(visit).caller, begun, visit.asked.given(), _answer_url(visit))
        person = await run_in_threadpool(sign_in_as, visit.asked.services, caller)
    except (NoAccess, IssuerUnavailable):
        response = _sign_in_page(visit, to, "not_there", 401)
    else:
        response = visit.go(to)
        remember(response, visit.asked.request, person.name)
    response.delete_cookie(LOGIN_COOKIE, **_login_cookie(visit))
    return response


def _logins(visit: Visit) -> Logins:
    if visit.asked.services.logins is None:
        raise NoResource("no provider is set up to sign in at; use a key")
    return visit.asked.services.logins


def _answer_url(visit: Visit) -> str:
    """Return the address to which the provider redirects; the provider accepts only those that are
    registered with it."""
    request = visit.asked.request
    return f"{'https' if by_tls(request) else 'http'}://{request.headers.get('host', '')}{ANSWER_PATH}"


def _login_cookie(visit: Visit) -> Any:
    """Return the attributes of the sign-in cookie: `lax`, since a strict cookie is not sent after a link from the
    provider."""
    return {"path": LOGIN_PATH, "secure": by_tls(visit.asked.request), "httponly": True, "samesite": "lax"}


async def signed_out(visit: Visit) -> Response:
    await run_in_threadpool(sign_out, visit.asked.services, visit.person)
    response = visit.go("/console/sign-in")
    forget(response)
    return response


async def language(visit: Visit) -> Response:
    response = visit.go(own_path(visit.form.get("next")))
    chosen = visit.form.get("language", "")
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, chosen, LANGUAGE_SECONDS, path=PATH, httponly=True, samesite="lax")
    return response


async def static(visit: Visit) -> Response:
    """Serve a static file. Raise NoResource."""
    found = statics().get(visit.values["name"])
    if found is None:
        raise NoResource("there is no such file")
    is_named = visit.one("v") == found.digest
    headers = {"Cache-Control": FOR_EVER if is_named else "no-cache"}
    return Response(found.body, headers=headers, media_type=found.media_type)


ROUTES = (
    page("", "home", ANY, home),
    page("/sign-in", "sign-in-page", OPEN, sign_in_page, "next"),
    form("/sign-in", "sign-in", OPEN, signed_in),
    page("/sign-in/at", "sign-in-at", OPEN, sign_in_at, "next"),
    page("/sign-in/back", "sign-in-back", OPEN, signed_in_at, "state", "code", "iss", takes_more=True),
    form("/sign-out", "sign-out", OPEN, signed_out),
    form("/language", "language", OPEN, language),
    page("/static/{name}", "static", OPEN, static, "v"),
)
