"""The console's requests: identify the person, verify that a form is from this console, answer with a page, also for
errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import Response

from oms_es.console import pages, uploads
from oms_es.console.inside import Api
from oms_es.console.people import Person, person_of, remember, require_own_form
from oms_es.console.routes import FILES, OPEN, WITH_FILE, handler_of, page
from oms_es.console.texts import language_of, texts
from oms_es.console.visits import HEADERS, SEE_OTHER, Visit
from oms_es.http.access import NO_CALLER
from oms_es.http.app import all_routes
from oms_es.http.errors import Malformed
from oms_es.http.problems import problem
from oms_es.http.requests import Asked
from oms_es.http.routing import Matched, Route, Router
from oms_es.http.services import Services

PATH = "console"
LANGUAGE_COOKIE = "oms_language"
FORM = "application/x-www-form-urlencoded"
FIELDS_MAX = 500
PROOF = "proof"
NO_ROUTE = page("", "nowhere", OPEN, pages.nowhere)


class Console:
    """The console as an application; it is mounted at its path, and answers every request below it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.api = Router(all_routes())
        self.routes: Sequence[Route] = pages.routes()
        self.router = Router(self.routes)

    async def __call__(self, request: Request, request_id: str) -> Response:
        person = Person(NO_CALLER, "")
        try:
            person = await person_of(self.services, request)
            response = await self._answered(request, request_id, person)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a page
            response = self._problem(error, request, request_id, person)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if person.is_new:
            _remember_once(response, request, person)
        return response

    async def _answered(self, request: Request, request_id: str, person: Person) -> Response:
        matched = self.router.match(request.method, request.scope["raw_path"])
        visit = self._visit(matched, request, request_id, person)
        if matched.route.scope is not None and not person.is_known:
            return Response(status_code=SEE_OTHER, headers={"Location": _way_in(request)})
        if matched.route.scope:
            person.caller.require(matched.route.scope)
        if matched.route.method == "POST":
            visit.form, visit.file = await form_of(visit.asked)
            require_own_form(request, person, visit.form.get(PROOF, ""))
        return await handler_of(matched.route)(visit)

    def _visit(self, matched: Matched, request: Request, request_id: str, person: Person) -> Visit:
        asked = Asked(request, matched.route, matched.values, person.caller, self.services, request_id)
        language = language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
        return Visit(asked, person, texts(language), Api(self.services, self.api, person.caller, request_id))

    def _problem(self, error: Exception, request: Request, request_id: str, person: Person) -> Response:
        refusal = problem(error, request_id)
        bare = Request({**request.scope, "query_string": b""})
        visit = self._visit(Matched(NO_ROUTE, {}), bare, request_id, person)
        return visit.page("problem.html", refusal["status"], refusal=refusal)


async def form_of(asked: Asked) -> tuple[Mapping[str, str], bytes]:
    """Return the form's fields, and the file's bytes or none. Raise Malformed, TooLong or WrongMedia."""
    media_type = (asked.header("content-type") or "").partition(";")[0].strip().lower()
    if asked.route.body is not WITH_FILE or media_type != FILES:
        return await _form(asked), b""
    return await uploads.read(asked.request)


async def _form(asked: Asked) -> Mapping[str, str]:
    """Return the form's fields; of a field that was sent twice, the last. Raise Malformed, TooLong or WrongMedia."""
    raw = await asked.body(FORM)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise Malformed("the form is not percent-encoded UTF-8, or has too many fields") from None
    if any("\0" in value for _, value in pairs):
        raise Malformed("leave out the character NUL")
    return dict(pairs)


def _way_in(request: Request) -> str:
    """Return the address of the sign-in page, which leads back to the page that was requested."""
    if request.method != "GET":
        return "/console/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/console/sign-in?next={quote(request.scope['raw_path'].decode('latin-1') + query, safe='')}"


def _remember_once(response: Response, request: Request, person: Person) -> None:
    """Set the session's cookie, unless the answer sets it already for a person who has just signed in."""
    if "set-cookie" not in response.headers:
        remember(response, request, person.name)
