"""blocks(page, language): what a how-to page shows, for the tests that run it."""

from __future__ import annotations

import re

from repository import ROOT

HOWTO = ROOT / "docs" / "howto"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (HOWTO / page).read_text(), re.DOTALL | re.MULTILINE)
