"""blocks(page, language): the code blocks of a how-to page, for the tests that run them."""

from __future__ import annotations

import re

from repository import ROOT

HOWTO = ROOT / "docs" / "howto"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (HOWTO / page).read_text(), re.DOTALL | re.MULTILINE)
