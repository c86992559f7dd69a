"""What the site needs besides its pages: files of the repository that pages link to, and a local copy of Mermaid.

Invariant: the built site loads nothing from another host, and every link leads to a file that exists.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
MERMAID = Path(__file__).parent / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
OF_THE_REPOSITORY = "repository"
"""The folder of the site with the linked files of the repository."""
PAGES_BESIDE_DOCS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
FOREIGN_MERMAID = re.compile(r'"https://[^"]+/mermaid[^"]*\.js"')


def on_config(config: Any) -> Any:
    """Lists the pages of two folders: a group of commands each, which the reference generates, and a decision each."""
    groups = sorted((DOCS / "reference" / "commands").glob("*.md"))
    _replace(config["nav"], "reference/commands/", [f"reference/commands/{page.name}" for page in groups])
    decisions = sorted((DOCS / "adr").glob("[0-9]*.md"))
    _replace(config["nav"], "adr/", [f"adr/{page.name}" for page in decisions])
    if MERMAID.exists():
        config["extra_javascript"] = ["assets/mermaid.js"]
    return config


def on_files(files: Files, config: Any) -> Files:
    for name in PAGES_BESIDE_DOCS:
        files.append(File.generated(config, name, abs_src_path=str(REPOSITORY / name)))
    for target in sorted(_linked_outside(files)):
        files.append(File.generated(config, f"{OF_THE_REPOSITORY}/{target}.txt", abs_src_path=str(REPOSITORY / target)))
    if MERMAID.exists():
        files.append(File.generated(config, "assets/mermaid.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return LINK.sub(lambda found: _inside(found, PurePosixPath(page.file.src_uri)), markdown)


def on_post_build(config: Any) -> None:
    """The theme would load Mermaid from a public host where ours is missing; then diagrams stay text."""
    for script in (Path(config["site_dir"]) / "assets" / "javascripts").glob("bundle*.js"):
        script.write_text(FOREIGN_MERMAID.sub('""', script.read_text()))
        for beside in script.parent.glob(f"{script.name}.map"):
            beside.unlink()


def _linked_outside(files: Files) -> set[str]:
    found = set()
    for file in files.documentation_pages():
        for link, _ in LINK.findall(Path(str(file.abs_src_path)).read_text()):
            target = _target(link, PurePosixPath(file.src_uri))
            if target and not target.startswith("docs/") and target not in PAGES_BESIDE_DOCS:
                if not (REPOSITORY / target).is_file():
                    raise PluginError(f"{file.src_uri}: {link} leads to no file")
                found.add(target)
    return found


def _inside(found: re.Match[str], page: PurePosixPath) -> str:
    """The same link, as the site has it."""
    link, anchor = found[1], found[2] or ""
    target = _target(link, page)
    if target is None:
        return found[0]
    if target.startswith("docs/"):
        place = target.removeprefix("docs/")
    elif target in PAGES_BESIDE_DOCS:
        place = target
    else:
        place, anchor = f"{OF_THE_REPOSITORY}/{target}.txt", ""
    return f"]({'../' * (len(page.parts) - 1)}{place}{anchor})"


def _target(link: str, page: PurePosixPath) -> str | None:
    """The path in the repository that a link means, if it leaves the folder of pages, or stands on a page beside it."""
    here = PurePosixPath() if str(page) in PAGES_BESIDE_DOCS else PurePosixPath("docs")
    parts: list[str] = []
    for part in (here / page).parent.joinpath(link).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    target = "/".join(parts)
    return None if target.startswith("docs/") and here.parts else target


def _replace(nav: list[Any], name: str, by: list[str]) -> None:
    for entry in nav:
        if isinstance(entry, dict):
            for inner in entry.values():
                if isinstance(inner, list):
                    _replace(inner, name, by)
    if name in nav:
        index = nav.index(name)
        nav[index : index + 1] = by
