"""Parsing of the JSON object that a carrier sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from oms_es.kernel import BadInput


def document_of(payload: bytes, bad: Callable[[str], BadInput]) -> dict[str, Any]:
    """Return the JSON object in the payload, or raise the error that `bad` makes from the reason."""
    try:
        document = from_json(payload)
    except ValueError as error:
        raise bad(f"payload: it is not JSON, {error}") from error
    if not isinstance(document, dict):
        raise bad("payload: it is no JSON object")
    return document
