"""An answer as a PDF document to print or to send: its title, its charts, and its table over as many pages as it needs.

The font is DejaVu if the machine has it, else the packaged one, which has no Cyrillic and no Greek; a character that
the font lacks, such as a Chinese one, is drawn as a box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from oms_es.reports.figures.answering import MET, Answer
from oms_es.reports.figures.chart import pictures
from oms_es.reports.figures.writing import BAD, GOOD, is_mark, period_of, shown, targets_of, title_of

FONTS = {
    "oms": (Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"), "Vera.ttf"),
    "oms-bold": (Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"), "VeraBd.ttf"),
}
PADDING, MARGIN, SMALL, NORMAL, LARGE = 12, 36, 7.5, 9, 15
GREY, LINE = "#444444", "#d0d0d0"
CHART_HEIGHT_MAX = 330
NOT_OF_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that a name may have and XML does not allow."""
SMALLEST, CHARACTER, LEAST_CHARACTERS = 4, 0.6, 4
"""The smallest font size in a table, the width of a character relative to the size, and the characters that fit in each
column."""
ROWS_PRINTED_MAX = 2_000
"""How many rows are printed, on some sixty pages; a longer table is for programs, and takes long to typeset."""
WRAPPED_FROM = 24
"""Cells with at least so many characters of text are wrapped."""


def as_pdf(answer: Answer) -> bytes:
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    _fonts()
    definition, out = answer.question.definition, BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=landscape(A4), title=definition.title, author="oms-es", invariant=True,
        **dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), MARGIN),
    )  # fmt: skip
    made = f"made {answer.question.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    story: list[Any] = [
        Paragraph(escape(definition.title), _style("oms-bold", LARGE)),
        Paragraph(escape(definition.about), _style("oms", NORMAL, GREY)),
        Paragraph(escape(f"{period_of(answer)}; {made}"), _style("oms", NORMAL)),
        Paragraph(escape(targets_of(answer)), _style("oms", NORMAL)),
        Spacer(0, 10),
    ]
    story += _charts(answer, document.width - PADDING)
    story.append(_table(answer, document.width - PADDING))
    if left := len(answer.rows) - len(answer.rows[:ROWS_PRINTED_MAX]):
        story.append(Paragraph(f"{left:,} more rows are in the other forms of this report.", _style("oms", NORMAL)))
    if not answer.rows:
        story.append(Paragraph("Nothing was found in this period.", _style("oms", NORMAL)))
    document.build(story, onFirstPage=_numbered, onLaterPages=_numbered)
    return out.getvalue()


@cache
def _fonts() -> None:
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFont

    for name, (wide, along) in FONTS.items():
        registerFont(TTFont(name, str(wide) if wide.exists() else along))


def _style(font: str, size: float, colour: str = "#000000", *, right: bool = False) -> Any:
    from reportlab.lib.enums import TA_LEFT, TA_RIGHT
    from reportlab.lib.styles import ParagraphStyle

    aligned = TA_RIGHT if right else TA_LEFT
    return ParagraphStyle(
        f"{font}{size}{colour}{right}", fontName=font, fontSize=size, leading=size * 1.3, textColor=colour,
        alignment=aligned, splitLongWords=True, spaceAfter=size * 0.4,
    )  # fmt: skip


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont("oms", SMALL)
    canvas.drawRightString(document.pagesize[0] - MARGIN, MARGIN / 2, str(canvas.getPageNumber()))


def _table(answer: Answer, width: float) -> Any:
    """Return the table: each column is as wide as its contents, and the font is smaller if there are many columns."""
    from reportlab.platypus import LongTable, Paragraph

    cells = [shown(row, answer.columns) for row in answer.rows[:ROWS_PRINTED_MAX]]
    characters = _characters(answer, cells)
    size = max(SMALLEST, min(SMALL, width / (sum(characters) * CHARACTER)))
    text = _style("oms", size)
    titles = [
        Paragraph(escape(title_of(one)), _style("oms-bold", size, right=bool(one.unit))) for one in answer.columns
    ]
    rows = [[Paragraph(escape(cell), text) if len(cell) > WRAPPED_FROM else cell for cell in row] for row in cells]
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), "oms", size),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), size / 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), size / 2),
        ("LINEBELOW", (0, 0), (-1, 0), 1, GREY),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE),
        *_marks(answer),
        *(("ALIGN", (n, 0), (n, -1), "RIGHT") for n, one in enumerate(answer.columns) if one.unit),
    ]
    wide = [width * n / sum(characters) for n in characters]
    return LongTable([titles, *rows], wide, style=style, repeatRows=1)


def _characters(answer: Answer, cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column in characters: of its longest unwrapped cell, or of the longest word of its
    title.
    """
    found = []
    for place, column in enumerate(answer.columns):
        words = [len(word) for word in title_of(column).split()]
        longest = max((min(len(row[place]), WRAPPED_FROM) for row in cells), default=0)
        found.append(max(*words, longest, LEAST_CHARACTERS) + 2)
    return found


def _marks(answer: Answer) -> Iterator[tuple[Any, ...]]:
    for place, column in enumerate(answer.columns):
        for number, row in enumerate(answer.rows[:ROWS_PRINTED_MAX], start=1):
            if is_mark(row[place], column):
                yield "TEXTCOLOR", (place, number), (place, number), GOOD if row[place] == MET else BAD


def _charts(answer: Answer, width: float) -> Iterator[Any]:
    from reportlab.platypus import KeepTogether, Paragraph, Spacer

    for picture in pictures(answer):
        rest = f"{picture.left_out} more are in the table." if picture.left_out else ""
        parts = [Paragraph(escape(picture.caption), _style("oms-bold", NORMAL)), _drawn(picture.svg, width)]
        yield KeepTogether([*parts, Paragraph(rest, _style("oms", SMALL)), Spacer(0, 8)])


def _drawn(svg: str, width: float) -> Any:
    """Return a chart's SVG as a drawing.

    Only the shapes that charts use are supported; their y axis points down, and a page's up.
    """
    from reportlab.graphics.shapes import Drawing, Group

    root = ET.fromstring(NOT_OF_XML.sub("\N{REPLACEMENT CHARACTER}", svg))  # noqa: S314 - made by the chart, which escapes the names in it
    _, _, wide, high = (float(n) for n in root.attrib["viewBox"].split())
    scale = min(width / wide, CHART_HEIGHT_MAX / high)
    drawing = Drawing(wide * scale, high * scale)
    group = Group(transform=(scale, 0, 0, scale, 0, 0))
    for one in root:
        for shape in _shapes(one, high):
            group.add(shape)
    drawing.add(group)
    return drawing


def _shapes(one: Any, high: float) -> Iterator[Any]:
    from reportlab.graphics import shapes
    from reportlab.lib.colors import HexColor

    given: dict[str, str] = dict(one.attrib)

    def number(name: str) -> float:
        return float(given[name])

    match one.tag:
        case "line":
            colour = given.get("style", "").removeprefix("stroke:")
            shape = shapes.Line(number("x1"), high - number("y1"), number("x2"), high - number("y2"))
            shape.strokeColor = HexColor(colour or ("#555555" if given.get("class") == "nought" else "#dddddd"))
            _dashed(shape, given)
            yield shape
        case "polyline":
            points = [tuple(map(float, pair.split(","))) for pair in given["points"].split()]
            shape = shapes.PolyLine(
                [n for x, y in points for n in (x, high - y)], strokeColor=HexColor(given["stroke"])
            )
            _dashed(shape, given)
            yield shape
        case "circle":
            fill = HexColor(given["fill"])
            yield shapes.Circle(number("cx"), high - number("cy"), number("r"), fillColor=fill, strokeColor=None)
        case "rect":
            top, tall = number("y"), number("height")
            place = (number("x"), high - top - tall, number("width"), tall)
            yield shapes.Rect(*place, fillColor=HexColor(given["fill"]), strokeColor=None)
        case "text":
            yield from _text(one.text or "", given, high)


def _dashed(shape: Any, given: dict[str, str]) -> None:
    shape.strokeWidth = float(given.get("stroke-width", 1))
    if dashes := given.get("stroke-dasharray"):
        shape.strokeDashArray = [float(n) for n in dashes.split()]


def _text(text: str, given: dict[str, str], high: float) -> Iterator[Any]:
    from reportlab.graphics.shapes import Group, String

    styled = {"fontName": "oms", "fontSize": 11, "textAnchor": given.get("text-anchor", "start")}
    if "transform" not in given:
        yield String(float(given["x"]), high - float(given["y"]), text, **styled)
        return
    x, y = given["transform"].partition("translate(")[2].partition(")")[0].split()
    turned = Group(String(0, 0, text, **styled), transform=(0, 1, -1, 0, float(x), high - float(y)))
    yield turned
