"""Money is an integer of minor units. Apportioning an amount never creates or loses a unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def apportion(total_minor: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Return `total_minor` apportioned by weight; the shares sum to it exactly (largest remainder method, Hamilton
    1792).

    If all weights are zero, the first share has everything. Raise ValueError without weights.
    """
    if not weights:
        raise ValueError("money cannot be shared out among no one")
    if total_minor == 0:
        return [0] * len(weights)
    whole = sum(weights)
    if whole == 0 or len(weights) == 1:
        return [total_minor, *[0] * (len(weights) - 1)]
    shares = [int(weight * total_minor // whole) for weight in weights]
    if sum(shares) == total_minor:
        return shares
    by_remainder = sorted(range(len(shares)), key=lambda i: (-(weights[i] * total_minor % whole), i))
    for i in by_remainder[: total_minor - sum(shares)]:
        shares[i] += 1
    return shares
