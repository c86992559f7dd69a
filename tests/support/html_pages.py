"""Strict checks of an HTML page: balanced tags, labels of inputs, no script or style within the page, and no
address elsewhere.
"""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img"}
CLOSED_ALONE = {"line", "path", "circle", "rect", "polyline"}
FETCHED = ("src", "href", "action", "hx-get", "hx-post")


class Strict(HTMLParser):
    """A parser. `wrong`: what is not well-formed, or is forbidden by the content security policy."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.inputs: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)
        if tag not in VOID | CLOSED_ALONE:
            self.wrong.append(f"<{tag}/> closes nothing")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> within {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()

    def _seen(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if len(given) < len(attrs):
            self.wrong.append(f"<{tag}> has an attribute twice")
        self.wrong += [f"{name} in <{tag}>" for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.wrong.append(f"<{tag}> within the page")
        self.urls += [given[name] for name in FETCHED if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag == "label":
            self.labels.add(given.get("for", ""))
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.inputs.append({**given, "is_within": str("label" in self.open)})


def read(page: str) -> Strict:
    reader = Strict()
    reader.feed(page)
    reader.close()
    if reader.open:
        reader.wrong.append(f"{reader.open} are not closed")
    reader.wrong += [f"the id {name} stands twice" for name in set(reader.ids) if reader.ids.count(name) > 1]
    reader.wrong += [f"{url} is elsewhere" for url in reader.urls if not url.startswith(("/console", "#"))]
    for one in reader.inputs:
        named = one["is_within"] == "True" or one.get("id") in reader.labels or one.get("aria-labelledby")
        if not named:
            reader.wrong.append(f"the input {one.get('name')} has no label")
    if reader.tags.count("main") != 1 or reader.tags.count("h1") != 1:
        reader.wrong.append("there is not one main part, or not one heading")
    return reader
