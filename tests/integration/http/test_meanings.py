"""The address in the `type` of a problem document leads to the explanation of its reason."""

from __future__ import annotations

import httpx
import pytest

from oms_es.errors import OmsError
from oms_es.http.problems import WORDED_HERE
from oms_es.reference.pages import errors, tables

BEHIND_HTTP = ("oms_es.errors", "oms_es.http", "oms_es.kernel", "oms_es.store")
"""Others have errors that only commands of the terminal meet."""
OF_THE_TERMINAL = "oms_es.store.sealing.folder"
"""Checkpoints are written into folders by a command, not by the server."""
REASONS = sorted(
    {*WORDED_HERE, *(member.value for table in tables() for member in table)}
    | {
        error.code
        for error in errors()
        if error.__module__.startswith(BEHIND_HTTP) and error.__module__ != OF_THE_TERMINAL
    }
    - {OmsError.code}
)


def test_what_a_problem_names_as_its_type_says_what_the_reason_means(client: httpx.Client) -> None:
    problem = client.post("/v1/orders/web~unknown:cancel", json={"reason": "why not"})
    assert problem.headers["Content-Type"] == "application/problem+json"
    page = client.get(problem.json()["type"])
    assert page.status_code == 200
    assert page.json()["reason"] == problem.json()["reason"]
    assert problem.status_code in {one["status"] for one in page.json()["meanings"]}
    assert all(one["meaning"] for one in page.json()["meanings"])


def test_every_reason_has_its_page_and_no_other_name_has_one(client: httpx.Client) -> None:
    assert len(REASONS) > 60
    for reason in REASONS:
        page = client.get(f"/v1/problems/{reason}")
        assert page.status_code == 200, reason
        assert page.json()["description"]
    assert client.get("/v1/problems/of-our-own-making").status_code == 404


@pytest.mark.parametrize("reason", ["..%2fsecrets", "%00", "x" * 5_000])
def test_a_name_that_is_no_reason_is_not_found_or_refused(client: httpx.Client, reason: str) -> None:
    assert client.get(f"/v1/problems/{reason}").status_code in (400, 404, 414, 431)
