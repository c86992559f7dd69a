"""The reference as files: what they should contain, writing them, and which are stale."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import typer

from oms_es.http import openapi
from oms_es.http.app import all_routes
from oms_es.reference import asyncapi, flow, pages, read_models, reports
from oms_es.reference.asyncapi import SCHEMAS
from oms_es.reference.json_schemas import messages
from oms_es.reference.releases import as_text

DIRECTORY = Path("docs") / "reference"
"""The reference's directory in a checkout of the repository."""


def current_version() -> str:
    return version("oms-es")


def contents(app: typer.Typer) -> Mapping[str, str]:
    """Return the text of every generated file, by its path in the directory."""
    described = messages()
    return {
        **{f"{SCHEMAS}/{message.name}.json": as_text(message.published) for message in described},
        "openapi.json": as_text(openapi.document(all_routes())),
        "asyncapi.json": as_text(asyncapi.document(described, current_version())),
        "messages.md": pages.message_index(described),
        "flow.md": flow.flow(),
        "roles.md": pages.roles(),
        "settings.md": pages.settings(),
        "metrics.md": pages.metrics_page(),
        **pages.commands(app),
        "exit-codes.md": pages.exit_codes(),
        "reasons.md": pages.reasons(),
        "read-models.md": read_models.read_models(),
        "reports.md": reports.reports(),
    }


def write(directory: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write the files that are stale, and return their names."""
    changed = stale(directory, wanted)
    for name in changed:
        path = directory / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name])
        else:
            path.unlink()
    return changed


def stale(directory: Path, wanted: Mapping[str, str]) -> list[str]:
    """Return the names of files that are missing, differ, or describe a message or a command that no longer exists."""
    found = (*(directory / SCHEMAS).glob("*.json"), *(directory / "commands").glob("*.md"))
    there = {file.relative_to(directory).as_posix() for file in found}
    differ = {name for name, text in wanted.items() if not _is(directory / name, text)}
    return sorted(differ | (there - set(wanted)))


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text
