"""What schemathesis has to know beyond the published document: which refusals no schema can foretell, each with why.

It loads this file by its path (`hooks` of its configuration).
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

UNFORESEEN = {
    "no_such_filters": "which filters go together depends on the indexes of a table; the refusal lists them",
    "still_to_come": "how far history has come changes with every event",
    "invalid_cursor": "a cursor is what a page ended with, and nobody can make one up",
    "version_changed": "If-Match asks for the version that a stream has at that moment",
    "idempotency_key_reused": "a key is of one request; the next one with it is another",
    "bad_report": "a report's words are its own, and a period ends after it begins; the refusal says it",
    "bad_statement": "what a bank or a provider sends has formats of its own, and sums to what its balances say",
    "document_too_large": "of bytes that are no JSON the document says no length; one has at least one",
    "unknown_sku": "what is known is not in a document",
}
"""Refusals of requests that the document allows, by their reason."""
SAID_IN_WORDS = (
    "a year from ",  # of a moment: its format says what a moment is, and has no bounds
    "there is a card number in it",  # a check digit is in no pattern
    "this looks like a card number",
    "a text contains ",  # NUL, also in what is called somehow, where schemas have no pattern
    "a name is more than spaces",  # once the spaces around it are gone
    "write CHANNEL~ID",  # a customer is named by two names, which no pattern tells apart
    "give an order, an account",  # parameters of which one is given, or two together
    "two names are the same",  # in Unicode's normal form
)
"""How the detail of such a refusal begins; the descriptions of the fields say the same."""


@schemathesis.check
def is_taken_or_refused_for_what_no_schema_says(ctx: Any, response: Any, case: Any) -> None:
    """Instead of `positive_data_acceptance`, which knows no reasons."""
    if response.status_code in (412, 422) and _is_unforeseen(response.json(), case.body):
        return
    positive_data_acceptance(ctx, response, case)


@schemathesis.check
def is_refused_where_the_document_forbids_it(ctx: Any, response: Any, case: Any) -> None:
    """Instead of `negative_data_rejection`: a batch is answered by itself, and has an outcome for each order."""
    if case.operation.label == "POST /v1/orders:batch" and response.status_code == 207:
        return
    negative_data_rejection(ctx, response, case)


def _is_unforeseen(problem: Any, body: Any) -> bool:
    if problem["reason"] in UNFORESEEN:
        return True
    errors = problem.get("errors") or [problem]
    return all(
        one["detail"].startswith(SAID_IN_WORDS) or ("pointer" in one and _is_of_several(body, one["pointer"]))
        for one in errors
    )


def _is_of_several(body: Any, pointer: str) -> bool:
    """A rule over several fields, which a pointer to what has them is refused with: a schema names one at a time."""
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        try:
            body = body[int(name)] if isinstance(body, list) else body[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return False
    return isinstance(body, dict | list)


def whole(value: Any) -> Any:
    """JSON Schema has 3.0 for an integer; the vocabulary does not: no quantity is ever a fraction."""
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    """What the document means, where the tool and JSON Schema say it otherwise."""
    if case.query:
        case.query.pop("wait", None)  # whoever waits for events waits for seconds, and is tried elsewhere
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    case.body = whole(case.body)
    version = (case.headers or {}).get("If-Match", "")
    if version.isdecimal():  # the tool reads `"7"` as JSON, and sends it without the quotes that it has by its pattern
        case.headers["If-Match"] = f'"{version}"'
