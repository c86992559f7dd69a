"""Every numeric setting has an upper bound, and a larger value is refused."""

from __future__ import annotations

import pytest
from annotated_types import Le
from pydantic import ValidationError

from oms_es.settings import Settings

BOUNDS = {
    name: [one.le for one in field.metadata if isinstance(one, Le)]
    for name, field in Settings.model_fields.items()
    if field.annotation in (int, float, int | None, float | None)
}


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_a_number_beyond_its_bound_is_refused(name: str) -> None:
    (bound,) = BOUNDS[name]
    assert isinstance(bound, int | float)
    assert getattr(Settings.model_validate({name: bound}), name) == bound
    for beyond in (bound + 1, 1e308, float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            Settings.model_validate({name: beyond})


def test_what_is_bounded_is_there() -> None:
    assert {"batch_max", "poll_seconds", "kafka_session_seconds", "http_rate_per_second"} <= BOUNDS.keys()
