"""Events folded into rows, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oms_es.kernel import Fold, Key, Projection, Recorded, Row


def fold(projection: Projection, rows: dict[Key, Row | None], batch: Iterable[Recorded]) -> None:
    """Fold the events into `rows`, which holds every row they touch, or None where there is none."""
    fold_touches(rows, touches(projection, batch))


def folded(projection: Projection, history: Iterable[Recorded]) -> dict[Key, Row]:
    """The rows that result from folding a whole history."""
    rows: dict[Key, Row | None] = {}
    fold(projection, rows, history)
    return {key: row for key, row in rows.items() if row is not None}


Touch = tuple[Fold, Recorded, Sequence[Key]]
"""An event, the fold that applies to it, and the keys of the rows that it changes: one is made for each of both, and a
plain tuple takes a third of the time."""


def touches(projection: Projection, batch: Iterable[Recorded]) -> list[Touch]:
    folds = projection.folds
    return [(f, recorded, tuple(f.keys(recorded))) for recorded in batch if (f := folds.get(type(recorded.event)))]


def touched_keys(touched: Iterable[Touch]) -> dict[Key, bool]:
    """The rows that change, and whether each has to be known as it was: not where its first fold makes a new one."""
    found: dict[Key, bool] = {}
    for a_fold, _, keys in touched:
        for key in keys:
            if key not in found:
                found[key] = not a_fold.begins
    return found


def fold_touches(rows: dict[Key, Row | None], touched: Iterable[Touch]) -> None:
    """Like `fold`, for events whose rows are already known."""
    for a_fold, recorded, keys in touched:
        project = a_fold.project
        for key in keys:
            rows[key] = project(rows.get(key), recorded, key)
