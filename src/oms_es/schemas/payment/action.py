"""A payment that a provider has prepared and that waits for the customer, who pays by a code, on a page or in
an app.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from oms_es.schemas.payment.base import GatewayIntent, NamedCommand, PaymentEvent
from oms_es.schemas.values.types import Moment

CONTENT_LENGTH_MAX = 4_000
"""How long the address of a provider's page may be, with all its signed parameters."""

ActionKind = Literal["qr_code", "page", "app"]
Content = Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_LENGTH_MAX, pattern=r"^[^\x00]+$")]


class RecordPaymentAction(NamedCommand):
    """Record that the provider waits for the customer, until `expires_at`.

    `content`: the content of a QR code, the address of the page, or the parameters for calling the app, as JSON.
    `reference`: the provider's reference of it.
    """

    kind: ActionKind
    content: Content
    expires_at: Moment | None = None


class PaymentActionRequired(PaymentEvent):
    """The customer must act: the content says how they pay."""

    kind: str
    content: str
    reference: str
    expires_at: Moment | None = None


class PaymentCloseRequested(GatewayIntent):
    """The intent to close what waits for the customer: it is not wanted any more, and must not be paid."""

    amount_minor: int
    currency: str
    reference: str
