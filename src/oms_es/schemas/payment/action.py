"""A payment that a provider has prepared waits for the customer, who pays it by a code, on a page or in an app."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from oms_es.schemas.payment.base import NamedCommand, PaymentEvent
from oms_es.schemas.values.types import Moment

CONTENT_LENGTH_MAX = 4_000
"""Of the address of a provider's page, with everything that it is signed over."""

ActionKind = Literal["qr_code", "page", "app"]
Content = Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_LENGTH_MAX, pattern=r"^[^\x00]+$")]


class RecordPaymentAction(NamedCommand):
    """The provider waits for the customer, until `expires_at`.

    `content`: what a QR code shows, the address of the page, or the parameters with which the app is called, as JSON.
    `reference`: what the provider knows it by.
    """

    kind: ActionKind
    content: Content
    expires_at: Moment | None = None


class PaymentActionRequired(PaymentEvent):
    """The customer pays by it: it is the payment's next action."""

    kind: str
    content: str
    reference: str
    expires_at: Moment | None = None


class PaymentCloseRequested(PaymentEvent):
    """Intent: what waits for the customer is not wanted any more, and must not be paid."""

    amount_minor: int
    currency: str
    reference: str
