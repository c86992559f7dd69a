"""Sentences that end with a person's words, such as a note or a reason, which may be empty."""

from __future__ import annotations


def with_reason(what: str, reason: str) -> str:
    return finished(f"{what}: {reason}")


def finished(sentence: str) -> str:
    """Return the sentence without its colon if nothing follows the colon."""
    return sentence.removesuffix(": ").rstrip()
