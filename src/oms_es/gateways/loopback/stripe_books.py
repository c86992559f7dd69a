"""The state of a Stripe account, as far as payments need it: intents, their charges, refunds, and events about them.

Invariant: captured + released + capturable = held, and refunded <= captured; what Stripe refuses is refused with its
type and code. Source: https://docs.stripe.com/api/payment_intents, /api/refunds, /api/errors, as of 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from typing import Any

Thing = dict[str, Any]
HOLD_SECONDS = 7 * 24 * 3_600
PAGE_MAX = 100
METADATA_MAX = 50

DECLINES: dict[str, tuple[str, str]] = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
    "pm_card_authenticationRequired": ("authentication_required", "authentication_required"),
}
"""Stripe's test cards that are declined, with the error's code and the bank's."""
GOOD = "pm_card_"
REFUND_LATER = "pm_card_pendingRefund"
REFUND_FAILS = "pm_card_refundFail"


class ApiError(Exception):
    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"error": {"type": kind, "message": message, **more}}


def invalid(message: str, **more: Any) -> ApiError:
    return ApiError(400, "invalid_request_error", message, **more)


class StripeBooks:
    """The account. `clock` returns seconds since 1970. `multicapture`: the account may capture in parts."""

    def __init__(self, clock: Callable[[], int], *, multicapture: bool = True) -> None:
        self.clock = clock
        self.multicapture = multicapture
        self.intents: dict[str, Thing] = {}
        self.charges: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.events: list[Thing] = []
        self.transactions: list[Thing] = []
        """Movements of the account's balance, before fees; reports are made from them."""
        self._numbers = count(1)

    def intent(self, name: str) -> Thing:
        if name not in self.intents:
            raise ApiError(404, "invalid_request_error", f"No such payment_intent: '{name}'", code="resource_missing")
        return self.intents[name]

    def create(self, wanted: Thing) -> Thing:
        if wanted.get("amount", 0) < 1:
            raise invalid("This value must be greater than or equal to 1.", param="amount", code="parameter_invalid")
        self._check_features(wanted)
        intent = self._new("pi", "payment_intent")
        intent |= {
            "amount": wanted["amount"],
            "currency": wanted["currency"],
            "capture_method": wanted.get("capture_method", "automatic"),
            "metadata": dict(wanted.get("metadata", {})),
            "payment_method": wanted.get("payment_method"),
            "customer": wanted.get("customer"),
            "amount_capturable": 0,
            "amount_received": 0,
            "latest_charge": None,
            "last_payment_error": None,
            "cancellation_reason": None,
            "status": "requires_confirmation",
        }
        self.intents[intent["id"]] = intent
        self._report("payment_intent.created", intent)
        return self._confirmed(intent, wanted) if wanted.get("confirm") else intent

    def _check_features(self, wanted: Thing) -> None:
        card = wanted.get("payment_method_options", {}).get("card", {})
        if card.get("request_multicapture") and not self.multicapture:
            raise invalid(
                "This account is not eligible for the requested card features.",
                param="payment_method_options[card][request_multicapture]",
            )

    def _confirmed(self, intent: Thing, wanted: Thing) -> Thing:
        method = intent["payment_method"] or ""
        if method in DECLINES:
            raise self._turned_down(intent, *DECLINES[method])
        if not method.startswith(GOOD):
            raise invalid(f"No such PaymentMethod: '{method}'", param="payment_method", code="resource_missing")
        charge = self._charged(intent, wanted)
        if intent["capture_method"] == "manual":
            intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
            self._report("charge.succeeded", charge)
            self._report("payment_intent.amount_capturable_updated", intent)
        else:
            self._took(intent, charge, intent["amount"], final=True)
        return intent

    def _charged(self, intent: Thing, wanted: Thing) -> Thing:
        charge = self._new("ch", "charge")
        card: Thing = {"amount_authorized": intent["amount"]}
        if intent["capture_method"] == "manual":
            card["capture_before"] = self.clock() + HOLD_SECONDS
        if wanted.get("payment_method_options", {}).get("card", {}).get("request_multicapture"):
            card["multicapture"] = {"status": "available"}
        charge |= {
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "captured": False,
            "currency": intent["currency"],
            "metadata": dict(intent["metadata"]),
            "payment_intent": intent["id"],
            "payment_method_details": {"type": "card", "card": card},
        }
        self.charges[charge["id"]] = charge
        intent["latest_charge"] = charge["id"]
        return charge

    def _turned_down(self, intent: Thing, code: str, decline: str) -> ApiError:
        intent["status"] = "requires_payment_method"
        said = {"code": code, "decline_code": decline, "message": "Your card was declined."}
        intent["last_payment_error"] = {"type": "card_error", **said}
        self._report("payment_intent.payment_failed", intent)
        return ApiError(402, "card_error", said["message"], code=code, decline_code=decline, payment_intent=intent)

    def update(self, name: str, wanted: Thing) -> Thing:
        intent = self.intent(name)
        merged = intent["metadata"] | wanted.get("metadata", {})
        if len(merged) > METADATA_MAX:
            raise invalid(f"Metadata can have at most {METADATA_MAX} keys.", param="metadata")
        intent["metadata"] = merged
        return intent

    def capture(self, name: str, wanted: Thing) -> Thing:
        intent = self.intent(name)
        if intent["status"] != "requires_capture":
            raise invalid(
                f"This PaymentIntent could not be captured because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        charge = self.charges[intent["latest_charge"]]
        amount: int = wanted["amount_to_capture"] if "amount_to_capture" in wanted else intent["amount_capturable"]
        final = wanted.get("final_capture", True)
        if not final and "multicapture" not in charge["payment_method_details"]["card"]:
            raise invalid("This payment cannot be captured more than once.", param="final_capture")
        if not 0 < amount <= intent["amount_capturable"]:
            raise invalid(
                f"The amount could not be captured because it is not within {intent['amount_capturable']}.",
                param="amount_to_capture",
                code="amount_too_large",
            )
        self.update(name, wanted)
        self._took(intent, charge, amount, final=final)
        return intent

    def _took(self, intent: Thing, charge: Thing, amount: int, *, final: bool) -> None:
        intent["amount_received"] += amount
        left = charge["amount"] - intent["amount_received"]
        charge |= {"amount_captured": intent["amount_received"], "captured": True}
        self._moves("charge", charge, amount)
        self._report("charge.captured" if intent["capture_method"] == "manual" else "charge.succeeded", charge)
        if final or not left:
            charge["amount_refunded"] += left
            intent |= {"status": "succeeded", "amount_capturable": 0}
            self._report("payment_intent.succeeded", intent)
        else:
            intent["amount_capturable"] = left
            self._report("payment_intent.amount_capturable_updated", intent)

    def cancel(self, name: str, wanted: Thing) -> Thing:
        intent = self.intent(name)
        if intent["status"] in ("canceled", "succeeded"):
            raise invalid(
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        self._let_go(intent, wanted.get("cancellation_reason"))
        return intent

    def _let_go(self, intent: Thing, reason: str | None) -> None:
        if charge := self.charges.get(intent["latest_charge"] or ""):
            charge["amount_refunded"] += intent["amount_capturable"]
        intent |= {"status": "canceled", "amount_capturable": 0, "cancellation_reason": reason}
        self._report("payment_intent.canceled", intent)

    def expire(self) -> None:
        """Release money that was not captured in time, as Stripe does by itself."""
        for intent in self.intents.values():
            charge = self.charges.get(intent["latest_charge"] or "")
            if intent["status"] == "requires_capture" and charge:
                until = charge["payment_method_details"]["card"]["capture_before"]
                if until <= self.clock():
                    self._let_go(intent, "automatic")

    def search(self, key: str, value: str) -> list[Thing]:
        found = [intent for intent in self.intents.values() if intent["metadata"].get(key) == value]
        return sorted(found, key=lambda intent: intent["created"], reverse=True)[:PAGE_MAX]

    def refund(self, wanted: Thing) -> Thing:
        intent = self.intent(wanted["payment_intent"])
        charge = self.charges.get(intent["latest_charge"] or "")
        left = charge["amount_captured"] - self._given_back(intent["id"]) if charge else 0
        amount = wanted.get("amount", left)
        if not charge or not 0 < amount <= left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        refund = self._new("re", "refund")
        method = intent["payment_method"]
        status = "pending" if method in (REFUND_LATER, REFUND_FAILS) else "succeeded"
        refund |= {
            "amount": amount,
            "currency": intent["currency"],
            "charge": charge["id"],
            "payment_intent": intent["id"],
            "metadata": dict(wanted.get("metadata", {})),
            "status": status,
        }
        charge["amount_refunded"] += amount
        self.refunds[refund["id"]] = refund
        self._moves("refund", refund, -amount)
        self._report("refund.created", refund)
        return refund

    def settle_refunds(self) -> None:
        """Settle the refunds that are pending."""
        for refund in self.refunds.values():
            if refund["status"] == "pending":
                self._settle(refund)

    def _settle(self, refund: Thing) -> None:
        failed = self.intents[refund["payment_intent"]]["payment_method"] == REFUND_FAILS
        refund["status"] = "failed" if failed else "succeeded"
        if failed:
            refund["failure_reason"] = "lost_or_stolen_card"
            self.charges[refund["charge"]]["amount_refunded"] -= refund["amount"]
            self._moves("refund_failure", refund, refund["amount"])
        self._report("refund.failed" if failed else "refund.updated", refund)

    def refunds_of(self, name: str) -> Iterator[Thing]:
        """Return the refunds of an intent, the newest first."""
        self.intent(name)
        return (refund for refund in reversed(self.refunds.values()) if refund["payment_intent"] == name)

    def _given_back(self, name: str) -> int:
        return sum(refund["amount"] for refund in self.refunds_of(name) if refund["status"] != "failed")

    def _new(self, prefix: str, kind: str) -> Thing:
        return {"id": f"{prefix}_{next(self._numbers):024d}", "object": kind, "created": self.clock()}

    def _moves(self, category: str, source: Thing, amount: int) -> None:
        moved = self._new("txn", "balance_transaction") | {"amount": amount, "currency": source["currency"]}
        named = {"source": source["id"], "payment_intent": source["payment_intent"]}
        self.transactions.append(moved | named | {"reporting_category": category})

    def _report(self, kind: str, thing: Thing) -> None:
        event = self._new("evt", "event") | {"type": kind, "data": {"object": deepcopy(thing)}}
        self.events.append(event)
