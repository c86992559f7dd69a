"""A warehouse system that exchanges files: each location has a folder of its own.

Reads    ShipmentRequested, ShipmentPickRequestRepeated, ShipmentCancelled
Writes   LOCATION/requests/pick-SHIPMENT.json, LOCATION/requests/cancel-SHIPMENT.json
Emits    nothing: answers come as files in LOCATION/answers
Decides  nothing. A file appears whole, under a name that its shipment alone determines, and is not written again while
         it is in `requests` or `taken`; if it is repeated, only while it is in `requests`. Nothing is written where the
         folder of all is not there: it may be a share that is not mounted. Two locations never have one folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from pydantic import TypeAdapter, ValidationError

from oms_es.gateways.warehouse.port import INTENTS, NAME, PickCancellation, PickRequest, request_of
from oms_es.gateways.warehouse.shared_files import CLAIM, entries, sweep, write_whole
from oms_es.kernel import Command, GatewayUnavailable, Recorded
from oms_es.schemas.shipment import ShipmentPickRequestRepeated
from oms_es.schemas.values.types import LocationId

BATCH_MAX = 100
LOCATIONS_MAX = 1_000
NAME_LENGTH_MAX = 150
REQUESTS, TAKEN, ANSWERS, DONE, REJECTED = "requests", "taken", "answers", "done", "rejected"
FOLDERS = (REQUESTS, TAKEN, ANSWERS, DONE, REJECTED)
LOCATION: TypeAdapter[str] = TypeAdapter(LocationId)


class FolderWarehouse:
    name = NAME
    intents = INTENTS
    batch_max = BATCH_MAX

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: set[str] = set()  # names of folders that were looked at

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Write the request of each intent. Raise GatewayUnavailable, with None for those that were not written."""
        written: list[Sequence[Command] | None] = []
        problems: dict[str, None] = {}
        for intent in intents:
            request = request_of(intent)
            try:
                if request:
                    self._write(request, is_repeated=isinstance(intent.event, ShipmentPickRequestRepeated))
            except OSError as error:
                problems[f"{request and request.location}: {error}"] = None
                written.append(None)
            else:
                written.append(())
        if problems:
            raise GatewayUnavailable(f"{self.folder} takes no requests: {'; '.join(problems)}", written)
        return [() for _ in intents]

    def _write(self, request: PickRequest | PickCancellation, *, is_repeated: bool) -> None:
        """Write the request, unless it is there already, or was taken; one that is repeated was lost by who took it.
        Raise OSError."""
        require_root(self.folder)
        place = self.folder / folder_name(request.location)
        for folder in (place, *(place / name for name in FOLDERS)):
            folder.mkdir(exist_ok=True)
        if place.name not in self._known:
            require_own(place)
            sweep(place / REQUESTS)
            self._known.add(place.name)
        name = file_name(request.type, request.shipment_id)
        if not any((place / where / name).exists() for where in ((REQUESTS,) if is_repeated else (REQUESTS, TAKEN))):
            write_whole(place / REQUESTS / name, request.model_dump_json(indent=1).encode())


def require_own(place: Path) -> None:
    """Raise OSError if a case-insensitive share takes the folder of another location for this one."""
    if all(entry.name != place.name for entry in entries(place.parent)):
        raise FileExistsError(
            f"the share takes {place.name} for another folder, whose name differs in capital letters only: rename "
            "that one, or have one of the two locations answer over HTTP"
        )


def require_root(folder: Path) -> None:
    """Raise OSError if the folder of all locations is not there. It is not made: it may be on a share."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: make it, or mount its share")


def file_name(kind: str, shipment_id: str) -> str:
    """Return the name of a request's file: for long ids, and those that differ in case only, with a digest."""
    name, digest = quote(shipment_id, safe=""), sha256(shipment_id.encode()).hexdigest()[:16]
    is_plain = shipment_id == shipment_id.lower() and len(name) <= NAME_LENGTH_MAX
    return f"{kind}-{name}.json" if is_plain else f"{kind}-{name[:NAME_LENGTH_MAX]}-{digest}.json"


def folder_name(location: str) -> str:
    """Return the name of a location's folder: dots at its ends are written as in URLs, as `.` and `..` are no names,
    and others hidden, or changed by the share."""
    inner = location.strip(".")
    before = len(location) - len(location.lstrip(".")) if inner else len(location)
    after = len(location) - before - len(inner)
    return "%2e" * before + inner + "%2e" * after


def location_of(name: str) -> str | None:
    """Return the location whose folder has this name, or None."""
    try:
        location = LOCATION.validate_python(unquote(name))
    except ValidationError:
        return None
    return location if folder_name(location) == name else None


class AnswerFile(NamedTuple):
    location: str
    place: Path
    """The folder of the location."""
    path: Path


def answer_files(
    folder: Path, files_max: int, is_due: Callable[[Path], bool], on_problem: Callable[[Path, OSError], None]
) -> Iterator[AnswerFile]:
    """Yield files with answers, of each location in turn. Names that begin with a dot, or do not end in `.json`, are
    still being written, except claims. Raise OSError if the folder of all cannot be read; of one location it is a
    problem of that one."""
    require_root(folder)
    of_each: list[list[AnswerFile]] = []
    named = ((location, Path(entry.path)) for entry in entries(folder) if (location := location_of(entry.name)))
    for location, place in sorted(islice(named, LOCATIONS_MAX)):
        try:
            found = islice(filter(is_due, _answers_in(place / ANSWERS)), files_max)
            of_each.append([AnswerFile(location, place, path) for path in sorted(found)])
        except NotADirectoryError:
            continue
        except OSError as error:
            on_problem(place, error)
    in_turn = (one for one in chain.from_iterable(zip_longest(*of_each)) if one)
    return islice(in_turn, files_max)


def _answers_in(folder: Path) -> Iterator[Path]:
    for entry in entries(folder):
        is_named = entry.name.endswith(".json") and not entry.name.startswith(".")
        if (is_named or entry.name.startswith(CLAIM)) and _may_be_file(entry):
            yield Path(entry.path)


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a file, also if only reading it will show."""
    try:
        return entry.is_file()
    except OSError:
        return True
