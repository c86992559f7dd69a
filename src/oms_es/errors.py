"""The one base of every error of ours: whoever catches it knows what to answer, without knowing the class.

`code` is stable and for programs, `exit_code` is what a command ends with, `status` is what HTTP answers. The text says
to a person what to do next.
"""

from __future__ import annotations

from http import HTTPStatus

from oms_es.exit_codes import Code


class OmsError(Exception):
    """An error that this program knows, with what every way in answers to it."""

    code: str = "unexpected"
    exit_code: Code = Code.UNEXPECTED
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR


class NotFound(OmsError):
    """There is nothing by that name."""

    code = "not_found"
    exit_code = Code.NOT_FOUND
    status = HTTPStatus.NOT_FOUND
