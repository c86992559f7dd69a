"""Receipts of our own: invoices and credit notes of money that moved, numbered by seller and year without a gap.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from oms_es.door import AtTheDoor
from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.finance.statement import Day
from oms_es.schemas.order.content import Address
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import (
    AmountMinor,
    Channel,
    Country,
    Currency,
    Identifier,
    PartName,
    PlainText,
    QuotedText,
    Text,
    at_most_items,
    without_card_number,
)

SELLERS_STREAM = "seller-all"
"""One stream: a channel is one seller's."""
SELLER_ID_LENGTH_MAX = 40
SELLERS_MAX = 100
CHANNELS_MAX = 1_000
TAX_RATES_MAX = 20
LINES_MAX = 1_001
"""Every line of an order, of bundles each component, and shipping; what is beyond is summed up in the last."""
PRECEDING_MAX = 100
NUMBER_MAX = 10**9
DIGITS_MAX = 9
PREFIX_LENGTH_MAX = 20
KEEP_YEARS_MAX = 30
FIRST_YEAR, LAST_YEAR = 1970, 2199

SellerId = Annotated[
    str,
    StringConstraints(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{SELLER_ID_LENGTH_MAX - 1}}}$"),
    AtTheDoor(without_card_number),
]
Percent = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}(\.[0-9]{1,4})?$")]
"""A rate of tax, such as 19 or 8.875."""
VatId = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}[A-Za-z0-9+*]{2,13})?$")]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
Number = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
Prefix = Annotated[str, StringConstraints(max_length=PREFIX_LENGTH_MAX, pattern=r"^[A-Za-z0-9/_-]*$")]
Digits = Annotated[int, Field(ge=1, le=DIGITS_MAX)]
PaperKind = Literal["invoice", "credit_note"]
TaxCode = Literal["S", "Z", "E"]
"""Codes of EN 16931: taxed (S), taxed at zero (Z), exempt (E)."""
Quantity = Annotated[int, Field(ge=1)]


class SellerParty(Message):
    """The seller as it is printed on documents."""

    name: Annotated[Text, Field(pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]  # a pattern takes the place of the type's own
    address_line: Text = ""
    city: Text = ""
    postal_code: Text = ""
    country: Country
    vat_id: VatId = ""
    """The VAT id, which begins with the two letters of its country."""
    tax_number: PartName = ""
    """The number under which the tax office knows a seller without a VAT id."""
    note: Text = ""
    """A text below everything else, such as a register and its number."""


class SetSeller(Command, SellerParty):
    """Say who sells on which channels: from now on every capture there gets an invoice, every refund a credit note.

    A seller that names no channel sells on all that no other names. Set again, what is new holds from then on.
    """

    seller: SellerId
    channels: Annotated[tuple[Channel, ...], at_most_items(CHANNELS_MAX)] = ()
    prefix: Prefix = ""
    """What document numbers begin with; the year and the number in that year follow."""
    digits: Digits = 6
    included_tax: Percent = "0"
    """The rate of the tax that prices include, for orders without a tax on top of them."""
    tax_rates: Annotated[tuple[Percent, ...], at_most_items(TAX_RATES_MAX)] = ()
    """Rates by which channels add tax on top; the tax of an order is named by the rate that fits it."""
    exempt_reason: Text = ""
    """Why sales without tax are exempt; without a reason they are taxed at a rate of zero."""
    keep_years: Annotated[int, Field(ge=1, le=KEEP_YEARS_MAX)] = 10
    """Years after the year of issue during which no document may be removed."""

    @property
    def stream(self) -> str:
        return SELLERS_STREAM

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if not (self.vat_id or self.tax_number):
            raise ValueError("a seller is known by a vat_id or a tax_number: give one of them")
        return self


class SellerEvent(Event):
    seller: str


class SellerSet(SellerEvent, SellerParty):
    channels: tuple[str, ...]
    prefix: str
    digits: int
    included_tax: str
    tax_rates: tuple[str, ...]
    exempt_reason: str
    keep_years: int

    @property
    def party(self) -> SellerParty:
        return SellerParty.model_construct(**{name: getattr(self, name) for name in SellerParty.model_fields})


class InvoiceLine(Message):
    """A line of a document. `net_minor` and `tax_minor` are the part of the line that this document is about."""

    line_id: PartName = ""
    text: PlainText
    quantity: Quantity = 1
    net_minor: AmountMinor
    tax_minor: AmountMinor = 0

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


class InvoiceContent(Message):
    """The content of a document, without its number.

    `movement` identifies what the document was issued for, so that it is issued once. `about` is the movement of money
    that the document is about; the two differ if the document corrects another.
    """

    movement: Identifier
    about: Identifier
    kind: PaperKind
    ahead: bool = False
    """Whether the money was taken before anything was shipped."""
    order_id: Identifier
    channel: PlainText
    order_name: PlainText
    """The order number of the channel."""
    payment_id: Identifier
    part: PartName = ""
    """The id of the capture or the refund."""
    method: PartName = ""
    happened_on: Day
    currency: Currency
    lines: Annotated[tuple[InvoiceLine, ...], Field(min_length=1), at_most_items(LINES_MAX)]
    worth_minor: AmountMinor = 0
    """The worth of the whole parcel, if this document is about a part of its payment."""
    tax_code: TaxCode
    tax_rate: Percent
    exempt_reason: Text = ""
    party: SellerParty
    buyer: Annotated[Address, PERSONAL]
    precedes: Annotated[tuple[PartName, ...], at_most_items(PRECEDING_MAX)] = ()
    """The numbers of the documents that it refers to."""
    corrects: PartName = ""
    """The number of the document that it cancels."""
    reason: QuotedText = ""

    @property
    def net_minor(self) -> int:
        return sum(line.net_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        return sum(line.tax_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


class InvoiceCommand(Command):
    """A command about a document of one seller and year of issue; each year has numbers of its own."""

    seller: SellerId
    year: Year

    @property
    def stream(self) -> str:
        return f"invoice-{self.seller}/{self.year}"


class IssueInvoice(InvoiceCommand, SystemCommand):
    """Give a document the next number of its seller and year; each movement gets one document."""

    prefix: Prefix = ""
    digits: Digits = 6
    keep_until: Day
    content: InvoiceContent


class CorrectInvoice(InvoiceCommand):
    """Cancel a document that is mistaken by one of the opposite kind, and issue it again as the seller is set now."""

    number: Number
    reason: Annotated[Text, Field(min_length=1)]


class InvoiceEvent(Event):
    seller: str
    year: int
    number: int


class InvoiceIssued(InvoiceEvent, InvoiceContent):
    """A number, once given, is never taken back."""

    name: str
    """The number as it is printed: prefix, year and number."""
    issued_on: str
    keep_until: str

    @property
    def content(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in InvoiceContent.model_fields}


class InvoiceCorrectionRequested(InvoiceEvent):
    reason: str
