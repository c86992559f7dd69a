"""The fields that all formats of invoices have, and the check whether they add up.

Invariant: an amount is exactly the amount that was written, or the invoice is refused; a difference is stated with both
amounts, in the currency of the invoice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oms_es.schemas.operations.document import DIFFERENCES_MAX, REFERENCES_MAX, InvoiceKind
from oms_es.schemas.values.cards import looks_like_a_card_number
from oms_es.schemas.values.currency import to_text
from oms_es.statements.reading import clean, currency_of, minor_of, refuse
from oms_es.statements.xml_tree import Element

TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~-]{2,127}")
"""A word in a person's text that may be the name of an order or a payment."""
MARKUP = re.compile(r"\s+")


class Invoice(NamedTuple):
    """An invoice.

    `references` name orders, contracts, payments or an earlier invoice. `differences` say what does not add up.
    """

    format: str
    kind: InvoiceKind
    invoice_number: str
    issued_on: str
    seller: str
    seller_id: str
    buyer: str
    buyer_id: str
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    references: tuple[str, ...]
    differences: tuple[str, ...]


class Amounts:
    """The amounts of one invoice, read exactly and compared."""

    def __init__(self, currency: str, line: int) -> None:
        self.currency = currency_of(currency, line)
        self.differences: list[str] = []

    def of(self, element: Element | None) -> int | None:
        """Return an amount in minor units.

        None if it is missing. An amount in another currency is reported as a difference, and read as it is.
        """
        if element is None or not element.text:
            return None
        said = element.attributes.get("currencyID", self.currency)
        if said != self.currency:
            self.differ(f"{element.name} is in {said}, the invoice in {self.currency}")
        return minor_of(element.text, self.currency, element.line)

    def must(self, parent: Element, name: str) -> int:
        found = self.of(parent.one(name))
        return found if found is not None else refuse(parent.line, f"{name} is not there")

    def sum_of(self, elements: Iterable[Element]) -> int | None:
        """Return the sum of the amounts that are there; None if there are none."""
        found = [amount for element in elements if (amount := self.of(element)) is not None]
        return sum(found) if found else None

    def compare(self, what: str, one: int | None, other: int | None) -> None:
        """Report a difference if both amounts are there and differ."""
        if one is not None and other is not None and one != other:
            is_less = to_text(one - other, self.currency)
            self.differ(f"{what}: {to_text(one, self.currency)} and {to_text(other, self.currency)}, {is_less} apart")

    def differ(self, what: str) -> None:
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(what)


def name_of(element: Element, *paths: str) -> str:
    return clean(MARKUP.sub(" ", element.says(*paths)))


def required(element: Element, *paths: str) -> str:
    return name_of(element, *paths) or refuse(element.line, f"{paths[0]} is not there")


def references_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return each reference once, in order, without card numbers."""
    found = (clean(text) for text in texts)
    return tuple(dict.fromkeys(one for one in found if one and not looks_like_a_card_number(one)))[:REFERENCES_MAX]


def tokens_of(text: str) -> Sequence[str]:
    """Return the words with a digit in them, without trailing punctuation."""
    found = (one.rstrip("._/~-") for one in TOKEN.findall(text))
    return [one for one in found if any(character.isdigit() for character in one)]
