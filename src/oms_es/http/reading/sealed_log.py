"""The sealed log over HTTP: the newest checkpoint, tiles under the paths of C2SP tlog-tiles, and proofs of orders."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from oms_es.errors import NotFound
from oms_es.http.access import EVENTS as EVENTS_SCOPE
from oms_es.http.access import PERSONAL
from oms_es.http.reading.pages import own_order
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.writing.checks import named_order
from oms_es.proof import proofs
from oms_es.proof.tiles import parsed_path
from oms_es.proof.tree import HASH_BYTES
from oms_es.reports import proving
from oms_es.reports.queries import Connection
from oms_es.store.sealing.proving import checkpoint_at, newest_checkpoint, proof_of, tiles

SIZE_MAX = 10**18 - 1
TEXT = "text/plain; charset=utf-8"
DEPTH_MAX = 4
"""Path segments of a tile after its level: enough for a billion tiles."""
PARTS = ("part", "second", "third", "fourth")


async def show_checkpoint(asked: Asked) -> Response:
    return Response(await asked.read(newest_checkpoint), media_type=TEXT, headers={"Cache-Control": "no-cache"})


async def show_tile(asked: Asked) -> Response:
    """Answer with a tile, or with its first hashes if the path names a width; such an answer never changes."""
    parts = [asked.values["level"], *(asked.values[name] for name in PARTS if name in asked.values)]
    found = parsed_path("tile/" + "/".join(parts))
    if found is None:
        raise NotFound("a tile is at /v1/log/tile/LEVEL/NNN, with .p/WIDTH where it is not full")
    tile, width = found
    hashes = (await asked.read(lambda connection: tiles(connection, [tile]))).get(tile, b"")[: width * HASH_BYTES]
    if len(hashes) < width * HASH_BYTES:
        raise NotFound("the log does not have this tile yet, or not with this width; see /v1/log/checkpoint")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(hashes, media_type="application/octet-stream", headers=headers)


async def prove_order(asked: Asked) -> Response:
    """Answer with the proof of an order. The caller needs the scope for personal data, since the proof contains the
    names."""
    asked.caller.require(PERSONAL)
    order_id, _ = named_order(asked.values["order"])
    older = asked.number("older", 0, SIZE_MAX)

    def read(connection: Connection) -> str:
        own_order(connection, order_id, asked.caller)
        before = checkpoint_at(connection, older) if older else None
        if older and before is None:
            raise NotFound(f"no checkpoint was signed of {older} events; name the size of one that you have")
        proof = proof_of(connection, f"order {order_id}", proving.of_order(connection, order_id), before)
        return proofs.written(proof)

    written = await asked.read(read)
    await asked.note_personal(order_id)
    return Response(written, media_type="application/json")


def _tiles() -> Sequence[Route]:
    return [
        Route(
            "GET",
            f"/v1/log/tile/{{level}}/{'/'.join(f'{{{name}}}' for name in PARTS[:depth])}",
            f"log-tile-{depth}" if depth > 1 else "log-tile",
            "Hashes of the log's Merkle tree: 256 of a level, or as many as `.p/WIDTH` says (C2SP tlog-tiles).",
            EVENTS_SCOPE,
            show_tile,
            answers={200: "Hashes of 32 bytes, one after the other.", 404: "There is no such tile."},
            answer={"type": "string", "format": "binary"},
            tag="log",
            media="application/octet-stream",
        )
        for depth in range(1, DEPTH_MAX + 1)
    ]


ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/log/checkpoint",
        "log-checkpoint",
        "The newest checkpoint: how many events are sealed and the root of their tree, signed (C2SP tlog-checkpoint).",
        EVENTS_SCOPE,
        show_checkpoint,
        answers={200: "It is this."},
        answer={"type": "string"},
        tag="log",
        media=TEXT,
    ),
    *_tiles(),
    Route(
        "GET",
        "/v1/orders/{order}/proof",
        "order-proof",
        "The proof of an order, as `oms-es audit prove` writes it. It needs personal-data:read, too.",
        EVENTS_SCOPE,
        prove_order,
        (
            Parameter(
                "older",
                "The size of an older checkpoint: prove that the log continues it.",
                {"type": "integer", "minimum": 1},
            ),
        ),
        answers={200: "It is this.", 404: "There is no such order, or no such checkpoint."},
        reads=("order_status", "order_timeline"),
        tag="orders",
    ),
)
