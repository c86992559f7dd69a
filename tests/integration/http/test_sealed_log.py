"""The sealed log over HTTP: a follower verifies it with only what is served, and proves an order."""

from __future__ import annotations

import time
from base64 import b64decode

import httpx
import psycopg
import pytest

from http_requests import order
from http_server import Served
from oms_es.proof import checkpoints, notes, proofs, tiles, tree
from oms_es.proof.notes import VerifierKey, verifier_key
from oms_es.proof.tiles import Tile

SEALED_SECONDS_MAX = 20.0


@pytest.fixture
def key(served: Served) -> VerifierKey:
    with psycopg.connect(served.database_url) as connection:
        row = connection.execute("SELECT public FROM oms_log_keys").fetchone()
    assert row
    return verifier_key(row[0])


def proved(client: httpx.Client, path: str) -> httpx.Response:
    until = time.monotonic() + SEALED_SECONDS_MAX
    while (answer := client.get(path)).status_code == 503 and time.monotonic() < until:
        assert answer.json()["type"].rpartition("/")[2] in ("not_sealed", "not_yet")
        time.sleep(0.2)
    assert answer.status_code == 200, (path, answer.text)
    return answer


def test_an_order_is_proved_to_who_holds_an_older_checkpoint(
    served: Served, client: httpx.Client, key: VerifierKey
) -> None:
    first = client.post("/v1/orders", json=order("proved-1")).json()["order_id"]
    proved(client, f"/v1/orders/{first}/proof")
    held = client.get("/v1/log/checkpoint").text
    note, older = checkpoints.read(held)
    notes.require(note, [key])
    second = client.post("/v1/orders", json=order("proved-2")).json()["order_id"]
    answer = proved(client, f"/v1/orders/{second}/proof?older={older.size}")
    checked = proofs.check(proofs.read(answer.text), [key])
    assert {event.stream for event in checked.events} >= {f"order-{second}"}
    assert checked.older == older
    assert checked.checkpoint.size > older.size
    assert client.get(f"/v1/orders/{second}/proof?older=99999999").status_code == 404
    assert client.get("/v1/orders/web~none/proof").status_code == 404
    with served.client("of-app") as app:
        assert app.get(f"/v1/orders/{second}/proof").status_code in (403, 404)


def test_tiles_give_the_root_of_the_checkpoint(client: httpx.Client, key: VerifierKey) -> None:
    proved(client, f"/v1/orders/{client.post('/v1/orders', json=order('tiled')).json()['order_id']}/proof")
    note, checkpoint = checkpoints.read(client.get("/v1/log/checkpoint").text)
    notes.require(note, [key])
    kept: dict[Tile, bytes] = {}
    for level in range(2):
        for number in range(-(-(checkpoint.size >> 8 * level) // 256)):
            tile = Tile(level, number)
            answer = client.get(f"/v1/log/{tiles.path_of(tile, tiles.width_of(tile, checkpoint.size))}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
            kept[tile] = answer.content
    assert tree.root(checkpoint.size, tiles.nodes_of(kept)) == checkpoint.root
    assert b64decode(note.text.split("\n")[2]) == checkpoint.root


@pytest.mark.parametrize(
    "path", ["0/x009/999", "9/000", "0/0", "0/000.p/0", "0/000.p/999", "x/000", "0/x001/x001/x001/000"]
)
def test_a_tile_that_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(f"/v1/log/tile/{path}").status_code == 404
