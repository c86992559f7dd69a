"""A month of a provider's account and of our movements, with breaks of every kind planted in it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from oms_es.matching.sides import Line, Movement, Rules

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 31)
RULES = Rules(window_days=5, fee_basis_points=140, fee_fixed_minor=25)
KINDS = ("missing_here", "missing_at_provider", "amount", "currency", "fee", "duplicate", "timing")
FAR = timedelta(days=6)
"""The distance from the month's end within which a missing line is a matter of timing, and not missing."""


class Month(NamedTuple):
    lines: list[Line]
    movements: list[Movement]
    planted: Counter[str]


class _Writer:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.lines: list[Line] = []
        self.movements: list[Movement] = []
        self.number = 0

    def line(self, day: date, amount: int, references: tuple[str, ...], **more: object) -> Line:
        self.number += 1
        kind = "payment" if amount > 0 else "refund"
        fee = RULES.fee_of(amount, "", day.isoformat()) or 0 if amount > 0 else 0
        said = {"line_id": f"t{self.number}", "kind": kind, "currency": "EUR", "fee_minor": fee} | more
        one = Line(f"m/{self.number:06}", day=day.isoformat(), amount_minor=amount, references=references, **said)  # type: ignore[arg-type] # as said
        self.lines.append(one)
        return one

    def movement(self, day: date, amount: int, references: tuple[str, ...], kind: str = "capture") -> None:
        self.number += 1
        self.movements.append(Movement(f"{kind}/{self.number}", day.isoformat(), "EUR", amount, references))

    def order(self, number: int, day: date) -> None:
        """Write an order without a break: with one or several captures, batched, refunded in parts, or with a lost
        reference."""
        amount = self.chance.randint(500, 50_000) * 100 + number % 100
        reference, payment = f"ch_{number}", f"order{number}.1"
        later = min(day + timedelta(days=self.chance.randint(0, 2)), LAST)
        match number % 10:
            case 0:  # two captures, booked as one line
                part = amount // 3
                self.movement(day, part, (f"{reference}/a", reference, payment))
                self.movement(day, amount - part, (f"{reference}/b", reference, payment))
                self.line(later, amount, (reference,))
            case 1:  # one capture, booked as two lines
                self.movement(day, amount, (reference, payment))
                self.line(later, amount // 2, (reference,))
                self.line(later, amount - amount // 2, (reference,))
            case 2:  # refunded in two parts, booked as one line
                self.movement(day, amount, (reference, payment))
                self.line(later, amount, (reference,))
                for part in (amount // 4, amount // 5):
                    self.movement(day, -part, (f"re_{number}/{part}", f"re_{number}", payment), "refund")
                self.line(later, -(amount // 4 + amount // 5), (f"re_{number}", payment))
            case 3:  # disputed and won
                self.movement(day, amount, (reference, payment))
                self.line(later, amount, (reference,))
                self.movement(day, -amount, (f"dp_{number}", payment), "dispute")
                self.line(later, -amount, (f"dp_{number}",), kind="dispute", fee_minor=1_500)
                self.movement(later, amount, (f"dpw_{number}", f"dp_{number}", payment), "dispute_reversal")
                self.line(later, amount, (f"dpw_{number}",), kind="dispute_reversal", fee_minor=0)
            case _:
                self.movement(day, amount, (reference, payment))
                self.line(later, amount, (reference, f"pi_{number}", payment))

    def plant(self, kind: str, number: int) -> None:
        day = FIRST + timedelta(days=self.chance.randint(0, (LAST - FAR - FIRST).days))
        amount, reference = 7_000_000 + 13 * number, (f"bad_{kind}_{number}",)
        match kind:
            case "missing_here":
                self.line(day, amount, reference)
            case "missing_at_provider":
                self.movement(day, amount, reference)
            case "timing":
                self.movement(LAST, amount, reference)
            case "amount":
                self.movement(day, amount, reference)
                self.line(day, amount - 1, reference)
            case "currency":
                self.movement(day, amount, reference)
                self.line(day, amount, reference, currency="USD")
            case "fee":
                self.movement(day, amount, reference)
                self.line(day, amount, reference, fee_minor=1)
            case "duplicate":
                self.movement(day, amount, reference)
                one = self.line(day, amount, reference)
                self.lines.append(one._replace(name=f"n/{number}"))


def month(seed: int, orders: int, each: int) -> Month:
    writer = _Writer(seed)
    for number in range(orders):
        writer.order(number, FIRST + timedelta(days=writer.chance.randint(0, 28)))
    for kind in KINDS:
        for number in range(each):
            writer.plant(kind, number)
    for day in range(4):  # movements that the provider makes by itself
        writer.line(FIRST + timedelta(days=7 * day), -123_456, (f"po_{day}",), kind="payout")
        writer.line(FIRST + timedelta(days=7 * day), -199, (f"fee_{day}",), kind="fee")
    writer.chance.shuffle(writer.lines)
    writer.chance.shuffle(writer.movements)
    return Month(writer.lines, writer.movements, Counter(dict.fromkeys(KINDS, each)))
