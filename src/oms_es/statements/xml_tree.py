"""XML as a small tree, read by expat. Invariant: no document type and so no entities; depth and size are bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from oms_es.statements.reading import refuse

ELEMENTS_MAX = 400_000
"""Each element takes 260 bytes of memory, besides its text, however few bytes it has in the file."""
DEPTH_MAX = 60


@dataclass(slots=True)
class Element:
    """An element. `name` is without its namespace, in which alone the versions of one message differ."""

    name: str
    line: int
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def all(self, path: str) -> Iterator[Element]:
        """Yield the elements under this one, by a path of children such as `Acct/Id/IBAN`."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.all(rest) if rest else (child,)

    def one(self, *paths: str) -> Element | None:
        """Return the first element under any of the paths, in their order; None if there is none."""
        return next((found for path in paths for found in self.all(path)), None)

    def says(self, *paths: str) -> str:
        """Return the text of the first element under the paths; empty if there is none."""
        found = self.one(*paths)
        return found.text if found else ""


class _Builder:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.root = Element("", 0, {})
        self.open = [self.root]
        self.count = 0

    def _doctype(self, *_: object) -> None:
        refuse(self.parser.CurrentLineNumber, "a document type is declared", "send the message without one")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        self.count += 1
        if self.count > ELEMENTS_MAX:
            refuse(line, f"the file has more than {ELEMENTS_MAX:,} elements", "split the period")
        if len(self.open) > DEPTH_MAX:
            refuse(line, f"more than {DEPTH_MAX} elements are within each other")
        element = Element(name.rpartition(" ")[2], line, attributes)
        self.open[-1].children.append(element)
        self.open.append(element)

    def _end(self, _: str) -> None:
        self.open.pop()

    def _text(self, piece: str) -> None:
        self.open[-1].pieces.append(piece)


def parsed(content: bytes) -> Element:
    """Return the root. Raise BadInput if the content is no well-formed XML, or too large."""
    builder = _Builder()
    try:
        builder.parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        line = getattr(error, "lineno", None)
        refuse(line, f"this is no well-formed XML: {error}")
    return builder.root.children[0]
