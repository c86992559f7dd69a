"""Commands that are imported when they are called: a person waits for the imports of one command, not of all.

Invariant: a command is made at most once, when it is first looked up; names are known without importing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from oms_es.processing.garbage import not_collecting


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, in the order of their listing, each made when it is looked up."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            made = self._makers[name]()
            made.name = name
            self._made[name] = made
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._makers[name] = lambda: command
        self._made.pop(name, None)

    def __delitem__(self, name: str) -> None:
        del self._makers[name]
        self._made.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers


class Group(TyperGroup):
    """A group of commands that names the command meant where a person took `order` for `orders`, or the reverse."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            meant = _meant(ctx, args[0])
            if meant:
                error.message = f"No such command {args[0]!r}; there is `oms-es {meant}`."
            raise


def _meant(ctx: Any, command: str) -> str:
    """Return the command of this name in the group that is called as this one is, in the plural or the singular."""
    program = getattr(ctx.parent, "command", None)
    for other in (f"{ctx.info_name}s", ctx.info_name.removesuffix("s")):
        group = getattr(program, "commands", {}).get(other)
        if other != ctx.info_name and command in getattr(group, "commands", ()):
            return f"{other} {command}"
    return ""


def group_of(makers: Mapping[str, Callable[[], Any]], *, text: str | None, hidden: bool = False) -> TyperGroup:
    """Return a group of commands that prints its help when no command is given."""
    group = Group(help=text, no_args_is_help=True, hidden=hidden, rich_markup_mode=None)
    group.commands = LazyCommands(makers)
    return group


def imported(place: str) -> Callable[[], Any]:
    """Return a function that imports the command, or group of commands, at `module:name` in this package."""

    def make() -> Any:
        module, _, name = place.partition(":")
        with not_collecting():
            found = getattr(import_module(f"{__package__}.{module}"), name)
        if isinstance(found, TyperGroup):
            return found
        if not isinstance(found, typer.Typer):
            return command_of(found)
        found.rich_markup_mode = None
        found.info.cls = Group
        return typer.main.get_group(found)

    return make


def command_of(function: Callable[..., Any]) -> Any:
    app = of_one_command()
    app.command()(function)
    return typer.main.get_command(app)


def of_one_command() -> typer.Typer:
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
