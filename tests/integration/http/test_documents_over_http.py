"""Documents over HTTP: stored and returned whole, served for download only, to authorised callers, and each access
is recorded.
"""

from __future__ import annotations

from hashlib import sha256

import httpx
import psycopg

from http_requests import order as ordered
from http_server import Served
from invoice_files import cii, pdf
from oms_es.store.documents.places import BYTES_MAX

BYTES = {"Content-Type": "application/octet-stream"}
PAGE = b"<?xml version='1.0'?><html><script>alert(1)</script></html>"
SCAN = b"%PDF-1.7\n" + bytes(range(256)) * 4_000


def added(client: httpx.Client, content: bytes) -> str:
    answer = client.post("/v1/documents", content=content, headers=BYTES)
    assert answer.status_code == 201, answer.text
    address: str = answer.json()["sha256"]
    assert address == sha256(content).hexdigest()
    return address


def test_a_document_is_kept_attached_listed_and_given_out_to_be_saved(client: httpx.Client, served: Served) -> None:
    order_id = client.post("/v1/orders", json=ordered("paper")).json()["order_id"]
    address = added(client, SCAN)
    assert added(client, SCAN) == address
    to = {"entity": "order", "entity_id": "web/paper", "kind": "invoice", "reference": "R-7"}
    done = client.post(f"/v1/documents/{address}:attach", json=to)
    assert done.status_code == 200, done.text
    assert client.post(f"/v1/documents/{address}:attach", json=to).json()["position"] is None
    as_far = {"Oms-Min-Position": str(done.json()["position"])}
    for query in ("order=web~paper", f"entity=order&entity_id={order_id}"):
        (row,) = client.get(f"/v1/documents?{query}", headers=as_far).json()["items"]
        assert (row["sha256"], row["media_type"], row["byte_count"]) == (address, "application/pdf", len(SCAN))
        assert (row["kind"], row["reference"], row["entity_id"]) == ("invoice", "R-7", order_id)
    found = client.get(f"/v1/documents/{address}")
    assert found.content == SCAN
    assert found.headers["Content-Type"] == "application/pdf"
    assert found.headers["Content-Disposition"] == f'attachment; filename="{address[:12]}.pdf"'
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    with psycopg.connect(served.database_url) as connection:
        seen = connection.execute("SELECT count(*) FROM oms_access_log WHERE subject = %s", [f"document/{address}"])
        assert seen.fetchone() == (1,)


def test_what_would_run_in_a_browser_is_only_a_file(client: httpx.Client) -> None:
    found = client.get(f"/v1/documents/{added(client, PAGE)}")
    assert found.headers["Content-Type"] == "application/xml"
    assert found.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in found.headers["Content-Security-Policy"]


def test_who_may_not_see_documents_sees_none(served: Served, client: httpx.Client) -> None:
    address = added(client, SCAN)
    with served.client("storefront") as other:
        assert other.get(f"/v1/documents/{address}").status_code == 403
        assert other.post("/v1/documents", content=SCAN, headers=BYTES).status_code == 403
    with served.client("finance") as finance:
        assert finance.get(f"/v1/documents/{address}").status_code == 200


def test_who_may_not_see_people_gets_no_bytes_and_no_buyer(served: Served, client: httpx.Client) -> None:
    invoice = cii(10_000, 1_900, 11_900).replace(b"INV-7", b"INV-8")
    address = added(client, invoice)
    given = {"label": "papers", "scopes": ["documents:read", "documents:write"]}
    key = client.post("/v1/keys", json=given).json()["token"]
    with served.client() as other:
        other.headers["Authorization"] = f"Bearer {key}"
        assert other.get(f"/v1/documents/{address}").status_code == 403
        found = other.post(f"/v1/documents/{address}:read").json()
        assert found["invoice_number"] == "INV-8"
        assert not {"buyer", "buyer_id"} & found.keys()
        assert found["references"] == []
    found = client.post(f"/v1/documents/{address}:read").json()
    assert (found["buyer"], found["references"]) == ("Ada", ["W-1", "pi_1"])
    only_people = client.post("/v1/keys", json={"label": "people", "scopes": ["personal-data:read"]}).json()["token"]
    with served.client() as other:
        other.headers["Authorization"] = f"Bearer {only_people}"
        assert other.get(f"/v1/documents/{address}").status_code == 403


def test_what_cannot_be_is_refused(client: httpx.Client) -> None:
    empty = client.post("/v1/documents", content=b"", headers=BYTES)
    assert (empty.status_code, empty.json()["reason"]) == (422, "document_empty")
    too_long = client.post("/v1/documents", content=b"x" * (BYTES_MAX + 1), headers=BYTES)
    assert too_long.status_code == 413
    assert client.get(f"/v1/documents/{'0' * 64}").status_code == 404
    assert client.get("/v1/documents?entity=order").json()["reason"] == "invalid_parameter"
    assert client.get("/v1/documents?after=x").json()["reason"] == "invalid_parameter"
    to = {"entity": "payment", "entity_id": "none"}
    gone = client.post(f"/v1/documents/{added(client, SCAN)}:attach", json=to)
    assert (gone.status_code, gone.json()["reason"]) == (404, "unknown_payment")


def test_an_invoice_in_a_pdf_is_read_and_listed_with_what_it_says(client: httpx.Client) -> None:
    address = added(client, pdf(factur_x=cii(10_000, 1_900, 11_901)))
    found = client.post(f"/v1/documents/{address}:read").json()
    assert (found["invoice_number"], found["total_minor"], found["buyer"]) == ("INV-7", 11_901, "Ada")
    assert "0.01 EUR apart" in found["differences"][0].replace("-", "")
    assert client.post(f"/v1/documents/{address}:read").json()["position"] is None
    row = client.get(f"/v1/document-fields/{address}", headers={"Oms-Min-Position": str(found["position"])}).json()
    assert (row["seller"], row["net_minor"]) == ("Tea & Co", 10_000)
    assert "buyer" not in row
    refused = client.post(f"/v1/documents/{added(client, SCAN)}:read")
    assert (refused.status_code, refused.json()["reason"]) == (422, "bad_invoice")
