"""Checks of the words in a report. The error for an unknown word names the most similar known one, and all of them."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from http import HTTPStatus

from oms_es.errors import OmsError
from oms_es.exit_codes import Code

SHOWN_CHARACTERS_MAX = 60


class BadReport(OmsError):
    """A report is defined, or asked for, with words that it does not have."""

    code = "bad_report"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnknownReport(OmsError):
    """No report has this name."""

    code = "unknown_report"
    exit_code = Code.NOT_FOUND
    status = HTTPStatus.NOT_FOUND


class TooLarge(OmsError):
    """The report has more rows than are shown."""

    code = "report_too_large"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def require(word: str, known: Collection[str], what: str) -> str:
    """Return the word. Raise BadReport if it is not known."""
    if word in known:
        return word
    raise BadReport(unknown(word, known, what))


def unknown(word: str, known: Collection[str], what: str) -> str:
    alike = get_close_matches(word, list(known), n=1)
    meant = f", did you mean {alike[0]}?" if alike else ";"
    return f"there is no {what} {shown(word)}{meant} There are: {', '.join(known) or 'none'}"


def shown(word: str) -> str:
    return repr(word if len(word) <= SHOWN_CHARACTERS_MAX else f"{word[:SHOWN_CHARACTERS_MAX]}…")
