"""Documents of our own before readers that are not ours: veraPDF on PDF/A-3, Mustang on Factur-X and EN 16931.

`make invoices` asks them; their files are fetched by Maven once, into the cache of the user.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from oms_es.app.invoicing import pdf
from oms_es.schemas.finance import invoicing as v
from oms_es.schemas.order import Address
from own_invoices import issued, line

POM = Path(__file__).with_name("pom.xml")
SECONDS_MAX = 300
AMERICAN = v.SellerParty(name="X Inc", city="New York", country="US", tax_number="12-3456789")
DOCUMENTS = {
    "invoice": issued(),
    "part": issued(worth_minor=4742),
    "ahead": issued(ahead=True, lines=(line(1000, 190, "Payment for order W-1"),)),
    "credit": issued(kind="credit_note", precedes=("A-2026-000001",), reason="broken <cup>"),
    "cancels": issued(kind="credit_note", precedes=("A-2026-000001",), corrects="A-2026-000001", reason="misspelt"),
    "exempt": issued(lines=(line(1000),), tax_code="E", tax_rate="0", exempt_reason="Small business"),
    "zero": issued(lines=(line(1000),), tax_code="Z", tax_rate="0"),
    "yen": issued(currency="JPY", lines=(line(1000, 100),), tax_rate="10"),
    "dollar": issued(
        currency="USD", tax_rate="8.875", lines=(line(10_000, 888),), party=AMERICAN, buyer=Address(country="US")
    ),
    "many": issued(lines=tuple(line(10, 2, f"SKU-{n}", n + 1) for n in range(150)), tax_rate="20"),
    "large": issued(lines=(line(10**12, 19 * 10**10, quantity=1_000_000),)),
    "strange": issued(buyer=Address(name="王小明 \u0414 <&>", street='"', country="CN"), lines=(line(1, 0, "\t"),)),
}
pytestmark = [
    pytest.mark.skipif(not os.environ.get("OMS_TEST_INVOICES"), reason="`make invoices` asks independent readers"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def readers() -> Path:
    """Return the folder with the readers' files."""
    if missing := [name for name in ("java", "javac", "mvn") if not shutil.which(name)]:
        pytest.skip(f"NOT CHECKED: {' and '.join(missing)} not found, so no independent reader has seen an invoice")
    versions = "-".join(re.findall(r"<version>(\d+\.[\d.]+)</version>", POM.read_text()))
    folder = user_cache_path("oms-es", ensure_exists=True) / f"readers-{versions}"
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(dir=folder.parent))
        fetch = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
        subprocess.run(fetch, check=True, timeout=SECONDS_MAX)
        draft.rename(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invoices")
    for name, document in {**DOCUMENTS, "dinar": issued(currency="KWD")}.items():
        (folder / f"{name}.pdf").write_bytes(pdf.as_pdf(document))
    return folder


def asked(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS_MAX)
    return done.stdout


def test_verapdf_finds_pdf_a_3(readers: Path, made: Path) -> None:
    """A file that is not PDF/A-3 must fail, too."""
    files = sorted(made.glob("*.pdf"))
    broken = made.parent / "broken.pdf"
    broken.write_bytes(files[0].read_bytes().replace(b"/OutputIntents", b"/OutputIntentz"))
    verapdf = ("java", "-cp", f"{readers}/*", "org.verapdf.apps.GreenfieldCliWrapper")
    said = asked(*verapdf, "--format", "text", "--flavour", "3b", *map(str, files), str(broken)).splitlines()
    found = {Path(line.split()[1]).stem: line.split()[0] for line in said if line.startswith(("PASS", "FAIL"))}
    assert found.pop("broken") == "FAIL"
    assert found == dict.fromkeys([*DOCUMENTS, "dinar"], "PASS")


def test_mustang_finds_factur_x_and_en_16931(readers: Path, made: Path, tmp_path: Path) -> None:
    """PDF, XML and the whole; and that one whose tax is not that of its rate is invalid, so that it does look."""
    (wrong := tmp_path / "wrong.pdf").write_bytes(pdf.as_pdf(issued().model_copy(update={"tax_rate": "7"})))
    (jar,) = readers.glob("validator-*-shaded.jar")
    files = [str(made / f"{name}.pdf") for name in DOCUMENTS]
    said = asked("java", "-cp", str(jar), str(POM.with_name("Validate.java")), *files, str(wrong))
    reports = {Path(name).stem: report for name, report in re.findall(r"FILE (.+)\n(?s:(.*?))(?=FILE |\Z)", said)}
    assert 'summary status="invalid"' in reports.pop("wrong")
    found = {name: re.findall(r'summary status="(\w+)"', report) for name, report in reports.items()}
    assert found == {name: ["valid"] * 3 for name in DOCUMENTS}
