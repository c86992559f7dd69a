"""What schemathesis must know beyond the published document: refusals that no schema can foresee, each with its reason.

Schemathesis loads this file by its path (`hooks` of its configuration).
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

UNFORESEEN = {
    "channel_of_another_seller": "whose a channel is, was said before",
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
"""Reasons of refusals that may follow a request which the document allows."""
SAID_IN_WORDS = (
    "a year from ",  # about a moment, whose format has no bounds
    "there is a card number in it",  # about a check digit, which no pattern can express
    "this looks like a card number",
    "a text contains ",  # about the character NUL, also in names whose schema has no pattern
    "a name is more than spaces",  # about a name of spaces alone, which are stripped
    "write CHANNEL~ID",  # about a customer, whose two names no pattern can tell apart
    "give an order, an account",  # about parameters that exclude each other or belong together
    "two names are the same",  # about names that are equal in Unicode's normal form
)
"""Beginnings of the details of such refusals; the descriptions of the fields say the same."""


@schemathesis.check
def is_taken_or_refused_for_what_no_schema_says(ctx: Any, response: Any, case: Any) -> None:
    """The check in place of `positive_data_acceptance`, which does not know reasons."""
    if response.status_code in (412, 422) and _is_unforeseen(response.json(), case.body):
        return
    positive_data_acceptance(ctx, response, case)


@schemathesis.check
def is_refused_where_the_document_forbids_it(ctx: Any, response: Any, case: Any) -> None:
    """The check in place of `negative_data_rejection`: a batch is answered with 207, and has an outcome for
    each order."""
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
    """Return whether the pointer names an object or a list: a rule over several of its fields was broken, which a
    schema cannot say."""
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        try:
            body = body[int(name)] if isinstance(body, list) else body[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return False
    return isinstance(body, dict | list)


def whole(value: Any) -> Any:
    """Return the value with integral floats as integers: JSON Schema takes 3.0 for an integer, the
    vocabulary does not."""
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    """Correct requests where the document, the tool and JSON Schema differ."""
    if case.query:
        case.query.pop("wait", None)  # long polling would wait for seconds, and is tested elsewhere
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    case.body = whole(case.body)
    version = (case.headers or {}).get("If-Match", "")
    if version.isdecimal():  # the tool reads `"7"` as JSON, and sends it without the quotes that its pattern requires
        case.headers["If-Match"] = f'"{version}"'
