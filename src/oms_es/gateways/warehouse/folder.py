"""A warehouse system that exchanges files: each location has a folder of its own.

Reads    ShipmentRequested, ShipmentCancelled
Writes   LOCATION/requests/pick-SHIPMENT.json, LOCATION/requests/cancel-SHIPMENT.json
Emits    nothing: answers come as files in LOCATION/answers
Decides  nothing. A file appears whole, under a name that its shipment alone determines, and is not written again while
         it is in `requests` or `taken`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from oms_es.gateways.warehouse.port import INTENTS, NAME, PickCancellation, PickRequest, request_of
from oms_es.kernel import Command, GatewayUnavailable, Recorded

BATCH_MAX = 100
LOCATIONS_MAX = 1_000
NAME_LENGTH_MAX = 150
REQUESTS, TAKEN, ANSWERS, DONE, REJECTED = "requests", "taken", "answers", "done", "rejected"
FOLDERS = (REQUESTS, TAKEN, ANSWERS, DONE, REJECTED)


class FolderWarehouse:
    name = NAME
    intents = INTENTS
    batch_max = BATCH_MAX

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def perform(self, intents: Sequence[Recorded]) -> Sequence[Sequence[Command]]:
        """Write the request of each intent. Raise GatewayUnavailable, with those that were written."""
        written: list[Sequence[Command]] = []
        for intent in intents:
            request = request_of(intent)
            try:
                if request:
                    write_request(self.folder, request)
            except OSError as error:
                raise GatewayUnavailable(f"{self.folder} takes no requests: {error}", written) from error
            written.append(())
        return written


def write_request(folder: Path, request: PickRequest | PickCancellation) -> None:
    """Write the request, unless it is there already, or was taken."""
    place = folder / request.location
    for name in FOLDERS:
        (place / name).mkdir(parents=True, exist_ok=True)
    name = file_name(request.type, request.shipment_id)
    if not any((place / where / name).exists() for where in (REQUESTS, TAKEN)):
        write_whole(place / REQUESTS / name, request.model_dump_json(indent=1).encode())


def file_name(kind: str, shipment_id: str) -> str:
    """Return the name of a request's file: for long ids, and those that differ in case only, with a digest."""
    name, digest = quote(shipment_id, safe=""), sha256(shipment_id.encode()).hexdigest()[:16]
    is_plain = shipment_id == shipment_id.lower() and len(name) <= NAME_LENGTH_MAX
    return f"{kind}-{name}.json" if is_plain else f"{kind}-{name[:NAME_LENGTH_MAX]}-{digest}.json"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def move_whole(path: Path, folder: Path) -> None:
    """Move a file into a folder. Of another file of its name there, nothing is lost; of one that another process has
    moved already, nothing is left to do."""
    target = folder / path.name
    with suppress(FileNotFoundError):
        if target.exists() and (content := path.read_bytes()) != target.read_bytes():
            target = folder / f"{path.stem}-{sha256(content).hexdigest()[:16]}{path.suffix}"
        path.replace(target)
        _sync(folder)


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a crash; some network shares cannot open a folder, and need not."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def answer_files(folder: Path, files_max: int) -> Iterator[Path]:
    """Yield files with answers. Names that begin with a dot, or do not end in `.json`, are still being written."""
    places = sorted(folder.glob(f"*/{ANSWERS}"))[:LOCATIONS_MAX]
    left = files_max
    for place in places:
        for path in sorted(place.glob("*.json"))[:left]:
            if not path.name.startswith(".") and path.is_file():
                left -= 1
                yield path
