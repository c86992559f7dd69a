"""Pictures of every page of the console, of a demo's data, by Debian's Chromium: `make screenshots` writes them.

Those that the documentation shows go to docs/images, all of them to the folder that is named.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
KEPT = (
    "console-order",
    "console-what-if",
    "console-account",
    "console-inbox",
    "console-why",
    "console-report",
    "console-pick",
)
TALL: Mapping[str, int] = {"console-order": 1100, "console-why": 1150}
"""Whose picture would end in the middle of what it is about."""
ORDERS = 400
MAPPING = """
delimiter = ";"
decimal = "."
date_format = "%Y-%m-%d"
currency = "EUR"
date = "Buchung"
amount = "Betrag"
references = ["Referenz"]
text = "Text"
"""
OMS = Path(sys.executable).with_name("oms-es")
LOOKS: Mapping[str, Mapping[str, object]] = {
    "": {"viewport": {"width": 1280, "height": 800}},
    "-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN"},
}


@contextmanager
def serving(home: str) -> Iterator[str]:
    settings = {**os.environ, "OMS_HOME": f"{home}/home", "OMS_HTTP_PORT": "0", "OMS_GATEWAYS": "simulated"}
    subprocess.run([OMS, "demo", "--keep", "--orders", str(ORDERS), "--json"], env=settings, check=True, stdout=-3)
    server = subprocess.Popen([OMS, "serve", "--with-engine"], env=settings, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        yield next(found[1] for line in server.stderr if (found := re.search(r"API at (http://\S+)/docs", line)))
    finally:
        server.terminate()
        server.wait()


def reconciled(api: httpx.Client) -> None:
    """A month of the bank: what the demo's payments do not explain is left over."""
    moved = api.get("/money-movements", params={"limit": 40}).json()["items"]
    text = ["Buchung;Betrag;Referenz;Text"]
    for number, row in enumerate(moved):
        amount = row["amount_minor"] - (number % 13 == 0) * 150
        if number % 9:
            text.append(f"{row['day']};{amount / 100:.2f};{row['references'][0]};{row['kind']}")
    text.append(f"{moved[0]['day']};84.00;unknown-1;paid twice?")
    given = {"format": "csv", "account": "bank-eur", "statement_id": "january", "mapping": MAPPING}
    sent = {"Content-Type": "application/octet-stream"}
    for path, options in (
        ("/statements", {"params": given, "content": "\n".join(text).encode(), "headers": sent}),
        ("/reconcile/bank-eur:run", {"json": {}}),
    ):
        while (answer := api.post(path, **options)).status_code in (202, 404):
            time.sleep(0.2)
        answer.raise_for_status()
    while not api.get("/reconcile/bank-eur").json().get("breaks"):
        time.sleep(0.2)


def verified(api: httpx.Client) -> None:
    """So that its page has something to show."""
    api.post("/verification:run", json={}).raise_for_status()
    while api.get("/verification").json()["state"] == "running":
        time.sleep(0.2)


def tried(api: httpx.Client) -> tuple[str, str]:
    """A run of rules by which the nearest counts first, and an order of it that differs."""
    rules = {"objective": [{"distance_km": 1}, {"shipments": 1}]}
    run = api.post("/what-if", json={"rules": rules}).raise_for_status().json()["run"]
    while (answer := api.get(f"/what-if/{run}")).json()["state"] == "running":
        time.sleep(0.2)
    return run, answer.raise_for_status().json()["orders"][0]


def pages(url: str) -> dict[str, str]:
    with httpx.Client(base_url=f"{url}/v1", timeout=30) as api:
        reconciled(api)
        verified(api)
        run, differs = tried(api)
        completed = api.get("/orders", params={"phase": "completed", "limit": 100}).json()["items"]
        order = max(completed, key=lambda row: row["shipments"])["order_id"]
        story = api.get(f"/orders/{order}/timeline").json()["items"]
        middle = story[len(story) // 2]["recorded_at"]
        sku = api.get("/stock", params={"limit": 1}).json()["items"][0]["sku"]
        parcels = api.get("/shipments", params={"limit": 100}).json()["items"]
        returned = api.get("/returns", params={"limit": 1}).json()["items"][0]["rma_id"]
    location = parcels[0]["location"]
    wave = [("parcel", one["shipment_id"]) for one in parcels if one["location"] == location][:6]
    named = {name: name for name in ("inbox", "orders", "stock", "health", "dead-letters", "commands", "reports")}
    named |= {"shipping": "shipping?status=booked", "returns": "returns", "return": f"returns/{returned}"}
    named |= {"report": "reports/sales", "bulk": "bulk/orders/hold?phase=completed"}
    named |= {"finance": "finance", "account": "finance/bank-eur", "books": "books", "verify": "verify", "keys": "keys"}
    named |= {"what-if": f"what-if/{run}?version=nearest-first", "what-if-order": f"what-if/{run}/orders/{differs}"}
    named |= {"rules": "setup/rules", "locations": "setup/locations"}
    named |= {"pick": f"shipping/list?{urlencode([('location', location), *wave])}"}
    of_order = {
        "order": f"orders/{order}",
        "then": f"orders/{order}?at={quote(middle)}",
        "why": f"orders/{order}/why",
        "events": f"orders/{order}/events",
    }
    return {
        **named,
        **of_order,
        "privacy": f"privacy?order={order}",
        "sku": f"stock/{sku}",
        "refund": f"commands/order/refund?order={order}",
        "location": f"commands/location/open?location={location}",
    }


def photograph(browser: Browser, url: str, folder: Path) -> None:
    for name, path in pages(url).items():
        for look, options in LOOKS.items():
            context = browser.new_context(**options)  # type: ignore[arg-type] # each by its own name
            page = context.new_page()
            page.goto(f"{url}/console/{path}")
            shot = f"console-{name}{look}"
            if shot in TALL:
                page.set_viewport_size({"width": 1280, "height": TALL[shot]})
            page.screenshot(path=(IMAGES if shot in KEPT else folder) / f"{shot}.png")
            context.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oms-es-shots-") as home, sync_playwright() as started:
        Path(home).chmod(0o711)
        with serving(home) as url:
            browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            photograph(browser, url, folder)
            browser.close()


if __name__ == "__main__":
    main()
