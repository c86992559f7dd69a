"""Shapes of Stripe's objects, as far as they are read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from oms_es.schemas.values.types import AMOUNT_MINOR_MAX, refuse_card_number

Name = Annotated[str, Field(min_length=1)]

ObjectId = Annotated[Name, AfterValidator(refuse_card_number)]
"""An id of Stripe's, which begins with letters: digits alone were entered by hand, and may be a card number."""

Amount = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]

Code = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z]{3}$")]


class Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Failure(Open):
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class CardDetails(Open):
    capture_before: int | None = None
    amount_authorized: Amount | None = None


class MethodDetails(Open):
    card: CardDetails | None = None


class Named(Open):
    """An object of Stripe's, with our ids in its metadata."""

    id: ObjectId
    metadata: dict[str, str] | None = None


class Charges(Open):
    """The charges of an intent, in older versions of the API: the newest first."""

    data: tuple[Named, ...] = ()


class Intent(Named):
    currency: Code | None = None
    amount: Amount | None = None
    amount_capturable: Amount | None = None
    amount_received: Amount | None = None
    latest_charge: Name | Named | None = None
    charges: Charges | None = None
    cancellation_reason: str | None = None
    last_payment_error: Failure | None = None


class Refund(Named):
    status: str | None = None
    failure_reason: str | None = None
    amount: Amount | None = None
    currency: Code | None = None
    charge: Name | Named | None = None
    payment_intent: Name | Named | None = None


class Refunds(Open):
    data: tuple[Refund, ...] = ()


class Charge(Named):
    currency: Code | None = None
    amount: Amount | None = None
    amount_captured: Amount | None = None
    amount_refunded: Amount | None = None
    payment_intent: Name | Named | None = None
    captured: bool = False
    failure_code: str | None = None
    failure_message: str | None = None
    payment_method_details: MethodDetails | None = None
    refunds: Refunds | None = None


class Dispute(Named):
    amount: Annotated[int, Field(gt=0, le=AMOUNT_MINOR_MAX)]
    currency: Code | None = None
    reason: str = ""
    status: str
    charge: Name | Named | None = None
    payment_intent: Name | Named | None = None


class Content(Open):
    object: dict[str, Any]


class Webhook(Open):
    """An event. `account` names a connected account, and is missing for events of the webhook's own account."""

    object: Literal["event"] = "event"
    account: str | None = None
    type: Name
    data: Content
