"""Sentences that end in what a person said, such as a note or a reason, and may have said nothing."""

from __future__ import annotations


def with_reason(what: str, reason: str) -> str:
    return finished(f"{what}: {reason}")


def finished(sentence: str) -> str:
    """Where nothing follows the colon, it ends before it."""
    return sentence.removesuffix(": ").rstrip()
