"""Exit codes of commands, for programs. With any code but OK, one line on stderr says what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Code(IntEnum):
    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NO_DATABASE = 3
    NOT_FOUND = 4
    BURIED = 5
    DIFFERENT = 6
    REFUSED = 7
    NO_KAFKA = 8
    BEHIND = 9
    UNAVAILABLE = 10
    CONTENT_NOT_PROVED = 11


MEANINGS: Mapping[Code, str] = {
    Code.OK: "It is done, or was so already.",
    Code.UNEXPECTED: "A mistake in the program, or a reader that stopped before an event; nothing is lost.",
    Code.USAGE: "The command, a setting or an argument is not what is expected.",
    Code.NO_DATABASE: "The database is not there, not ours to write, or not migrated.",
    Code.NOT_FOUND: "There is nothing by that name.",
    Code.BURIED: "Some input could not be used and is kept as dead letters; the rest was taken.",
    Code.DIFFERENT: "History and what was made of it differ, or are not what was promised.",
    Code.REFUSED: "The domain says no.",
    Code.NO_KAFKA: "The brokers do not answer, or not with what was asked.",
    Code.BEHIND: "Nothing is wrong with history, but a reader stopped, or has more to do where all should be at rest.",
    Code.UNAVAILABLE: "What it needs, such as a payment provider, does not answer now; nothing is lost: run it again.",
    Code.CONTENT_NOT_PROVED: "A proof holds, but not for what some events say: the sealed bytes are not in it.",
}
SIGNALS: Mapping[int, str] = {
    130: "Ctrl-C ended it.",
    141: "Its output is no longer read, as before `| head`.",
    143: "SIGTERM ended it, and it could not finish first.",
}
"""Exit codes of commands that were ended by a signal."""
