"""The console in Chromium as people use it: with keys, on a phone, in the dark scheme, and without scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # the library has no types
from playwright.sync_api import Browser, Page, expect, sync_playwright

from console_shop import ACCOUNT, Shop
from http_server import Served

NAMES = ("chromium", "google-chrome", "chromium-browser")
PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 844}}
RULES: Mapping[str, Any] = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
IN_THE_DARK: Mapping[str, Any] = {**RULES, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""Only colours differ there."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return Chromium. Without it the test is skipped, or fails if the environment requires it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("OMS_TEST_CHROMIUM_REQUIRED"):
            pytest.fail("NO CHROMIUM, and OMS_TEST_CHROMIUM_REQUIRED is set: `apt-get install chromium`")
        pytest.skip("NO CHROMIUM, nothing of the console is tried in a browser: `apt-get install chromium`")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visiting(chromium: Browser, served: Served, role: str = "operator", **options: Any) -> Iterator[Page]:
    """Sign in by typing the key. The browser's console must have no error or warning, and nothing may be
    fetched from elsewhere."""
    wrong: list[str] = []
    context = chromium.new_context(base_url=served.url, **options)
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(served.url) else wrong.append(request.url))
    page.goto("/console")
    page.locator("#key").fill(served.tokens[role])
    page.keyboard.press("Enter")
    page.locator(".places").wait_for()
    yield page
    context.close()
    assert wrong == []


def places(shop: Shop) -> list[str]:
    found = [
        "inbox",
        "orders",
        f"orders/{shop.order_id}",
        f"orders/{shop.order_id}/why",
        f"orders/{shop.order_id}/events",
    ]
    found += ["stock", f"stock/{shop.quoted_sku}", "health", "dead-letters", "commands", "search?q=lacking+none"]
    found += ["reports/units-by-sku?by=day", "bulk/orders/hold", "shipping?status=booked"]
    found += [
        f"shipping/list?location={shop.location}&parcel={shop.parcel_id}",
        f"returns/{quote(shop.return_id, safe='')}",
    ]
    found += ["finance", f"finance/{ACCOUNT}", "books", f"finance/{ACCOUNT}/explain?line={quote(shop.line, safe='')}"]
    found += ["verify", "keys"]
    return [*found, f"commands/order/refund?order={shop.order_id}"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody_on_a_phone_too(
    chromium: Browser, served: Served, shop: Shop, scheme: str
) -> None:
    options = {**PHONE, "color_scheme": scheme, "locale": "zh-CN" if scheme == "dark" else "en-GB"}
    with visiting(chromium, served, **options) as page:
        found = {}
        for place in (
            places(shop) if scheme == "light" else [f"orders/{shop.order_id}", "orders", "inbox", "dead-letters"]
        ):
            page.goto(f"/console/{place}")
            axe = Axe().run(page, options=RULES if scheme == "light" else IN_THE_DARK)
            width = page.evaluate("document.documentElement.scrollWidth")
            if axe.violations_count or width > PHONE["viewport"]["width"]:
                found[place] = (
                    width,
                    axe.generate_snapshot(),
                    [node["target"] for one in axe.response["violations"] for node in one["nodes"]],
                )
        assert found == {}


def test_an_order_is_found_by_keys_and_held_and_its_story_says_who_did_it(
    chromium: Browser, served: Served, shop: Shop
) -> None:
    with visiting(chromium, served, "support") as page:
        page.keyboard.press("/")
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.type("lacking")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("web/lacking")
        page.get_by_text("All commands").click()
        page.get_by_role("link", name="Hold", exact=True).click()
        page.get_by_label("Kind needed").select_option("payment")
        page.get_by_label("note").fill("in the browser")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("OrderHeld")
        page.get_by_role("button", name="Do it").click()
        expect(page.get_by_role("status")).to_contain_text("Done")
        row = page.locator("tr", has_text="in the browser")
        expect(row).to_contain_text(f"key:{served.tokens['support'].split('_')[1]}")
        page.locator(".timeline .point").last.click()
        expect(page.locator("tr:target")).to_be_visible()
        slider = page.get_by_role("slider", name="As of")
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_url("**?at=*")
        expect(page.locator("tr.differs", has_text="holds")).to_contain_text("payment")
        expect(page.locator(".timeline .is-later")).not_to_have_count(0)
        page.get_by_role("link", name="One event later").click()
        expect(page.get_by_role("link", name="One event earlier")).to_be_visible()


def test_without_scripts_everything_but_rows_that_renew_themselves_works(
    chromium: Browser, served: Served, shop: Shop
) -> None:
    with visiting(chromium, served, java_script_enabled=False) as page:
        page.goto("/console/orders")
        page.locator("#sku").fill(shop.sku)
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.locator("tbody a").click()
        page.get_by_label("Also events of little importance").check()
        page.locator("td.number a").first.click()
        expect(page.get_by_role("status")).to_contain_text("As it was at")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#key")).to_be_visible()


def test_a_list_of_orders_renews_itself(chromium: Browser, served: Served, shop: Shop) -> None:
    with visiting(chromium, served) as page:
        page.clock.install()
        page.goto("/console/orders?hold=address")
        expect(page.locator("tbody")).not_to_contain_text("lacking")
        with served.client() as api:
            held = api.post(f"/v1/orders/{shop.lacking_id}:hold", json={"kind": "address"}).raise_for_status()
            api.get("/v1/orders?hold=address", headers={"Oms-Min-Position": held.headers["Oms-Position"]})
        page.clock.run_for(11_000)
        expect(page.locator("tbody")).to_contain_text("lacking")
