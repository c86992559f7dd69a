"""Requests to a carrier, one for each parcel, several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from oms_es.gateways.outgoing import NoAnswer, NothingCertain, ProtocolError
from oms_es.kernel import GatewayUnavailable
from oms_es.schemas.values.types import TEXT_LENGTH_MAX

log = structlog.get_logger()

CONCURRENT_MAX = 5
"""Parcels that are processed at once; carriers refuse more for a while."""
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class NotDone(ProtocolError):
    """The request cannot be done; the message becomes the reason of its refusal."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(reason.replace("\0", " ").split())[:TEXT_LENGTH_MAX])


def each(
    question: Callable[[Asked], Answered],
    asked: Sequence[Asked],
    unknown: Callable[[str], Answered],
    refused: Callable[[str], Answered],
    *,
    name: str,
) -> Sequence[Answered]:
    """Ask for each. Raise GatewayUnavailable if no other answer came: then the account is at fault."""
    stopped: list[GatewayUnavailable] = []

    def answered(one: Asked) -> Answered:
        try:
            return question(one)
        except NoAnswer as error:
            log.warning("no answer from a carrier", carrier=name, asked=type(one).__name__, error=str(error))
            return unknown(str(error) if isinstance(error, NothingCertain) else "")
        except GatewayUnavailable as error:
            stopped.append(error)
            return unknown("")
        except NotDone as error:
            return refused(str(error))

    with ThreadPoolExecutor(min(CONCURRENT_MAX, len(asked)) or 1, name) as threads:
        answers = list(threads.map(answered, asked))
    if stopped and len(stopped) == len(asked):
        raise stopped[0]
    return answers
