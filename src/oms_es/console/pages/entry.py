"""In and out: signing in with a key, signing out, the language, and what the browser fetches beside pages."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.console.people import PATH, forget, remember, sign_in, sign_out
from oms_es.console.rendering import statics
from oms_es.console.routes import ANY, OPEN, form, page
from oms_es.console.texts import LANGUAGES
from oms_es.console.visits import Visit, own_path
from oms_es.http.errors import NoAccess, NoResource

LANGUAGE_COOKIE = "oms_language"
LANGUAGE_SECONDS = 31_536_000
FOR_EVER = "public, max-age=31536000, immutable"


async def home(visit: Visit) -> Response:
    """The first page that the person may see."""
    return visit.go(visit.places[0].path)


async def sign_in_page(visit: Visit) -> Response:
    if visit.person.is_known:
        return visit.go(own_path(visit.one("next")))
    return visit.page("sign_in.html", next=own_path(visit.one("next")), is_wrong=False)


async def signed_in(visit: Visit) -> Response:
    """Raises what the database raises."""
    to = own_path(visit.form.get("next"))
    services = visit.asked.services
    try:
        person = await run_in_threadpool(sign_in, services, visit.form.get("key", "").strip())
    except NoAccess:
        return visit.page("sign_in.html", 401, next=to, is_wrong=True)
    response = visit.go(to)
    remember(response, visit.asked.request, person.name)
    return response


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
    """Raises NoResource."""
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
    form("/sign-out", "sign-out", OPEN, signed_out),
    form("/language", "language", OPEN, language),
    page("/static/{name}", "static", OPEN, static, "v"),
)
