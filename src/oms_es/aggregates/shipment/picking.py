"""A shipment is packed: by a person, or as the warehouse's system answers. Part of the shipment's decider.

Invariant: an answer counts once, and none that contradicts the request, or what is known by now, changes anything; it
is recorded with the reason, for a person. One that is short or rejected, and older than the one that counts, changes
nothing, and is remembered; one that is packed is never passed over: it is taken, or a person sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from oms_es.aggregates.shipment.state import Shipment, ids_of, located
from oms_es.kernel import Refused
from oms_es.schemas import shipment as sh
from oms_es.schemas.order import Reservation
from oms_es.schemas.shipment.refusals import ShipmentRefusal


def pack(shipment: Shipment, requested: sh.ShipmentRequested, command: sh.PackShipment) -> Iterator[sh.ShipmentPacked]:
    if shipment.cancelled or shipment.packed:
        return
    planned = {carton.carton_id: carton for carton in requested.cartons}
    if command.cartons and {carton.carton_id for carton in command.cartons} != planned.keys():
        raise Refused(
            ShipmentRefusal.UNKNOWN_CARTON,
            f"shipment {command.shipment_id} is planned in the cartons {sorted(planned)}; weigh these, or leave out "
            "the cartons",
        )
    yield sh.ShipmentPacked(
        **ids_of(requested),
        weight_grams=command.weight_grams,
        cartons=tuple(
            sh.CartonWeight(
                carton_id=weighed.carton_id,
                weight_grams=weighed.weight_grams,
                volume_ml=weighed.volume_ml or planned[weighed.carton_id].volume_ml,
            )
            for weighed in command.cartons or requested.cartons
        ),
        location=requested.location,
        ship_to=requested.ship_to,
        delivery_option=requested.delivery_option,
        pickup=requested.pickup,
    )


def answer_pick(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.AnswerPick
) -> Iterator[sh.ShipmentEvent]:
    answer = sh.PickAnswer.model_construct(**{name: getattr(command, name) for name in sh.PickAnswer.model_fields})
    if located(answer, requested) in shipment.answers:
        return
    _require_complete(command)
    _require_past(command)
    if len(shipment.answers) >= sh.ANSWERS_MAX:
        raise Refused(
            ShipmentRefusal.TOO_MANY_ANSWERS,
            f"{sh.ANSWERS_MAX} answers to the request of {command.shipment_id} are kept, and this is another: pack it "
            "by hand, or cancel it",
        )
    if why := _contradiction(shipment, requested, answer):
        yield sh.ShipmentPickDisputed(**ids_of(requested), answer=answer, detail=why)
    elif not (shipment.cancelled or shipment.packed or _is_late(shipment, answer)):
        yield from _taken(shipment, requested, answer)
    elif answer.outcome != "packed":
        yield sh.ShipmentPickAnsweredLate(**ids_of(requested), answer=answer)


def request_again(
    shipment: Shipment, requested: sh.ShipmentRequested, command: sh.RequestPickAgain
) -> Iterator[sh.ShipmentPickRequestRepeated]:
    if command.repeat_id in shipment.repeats:
        return
    done = "cancelled" if shipment.cancelled else "packed" if shipment.packed else "has left" * shipment.dispatched
    if done or shipment.answered:
        known = done or (shipment.answered and shipment.answered.outcome)
        raise Refused(
            ShipmentRefusal.PICK_ANSWERED, f"the request of {command.shipment_id} is not open any more: {known}"
        )
    if len(shipment.repeats) >= sh.REPEATS_MAX:
        raise Refused(
            ShipmentRefusal.TOO_MANY_REPEATS,
            f"the request of {command.shipment_id} was repeated {sh.REPEATS_MAX} times",
        )
    same = ("location", "items", "ship_to", "delivery_option", "cartons", "pickup", "warehouse_gateway")
    yield sh.ShipmentPickRequestRepeated(
        **ids_of(requested), repeat_id=command.repeat_id, **{name: getattr(requested, name) for name in same}
    )


def _require_complete(command: sh.AnswerPick) -> None:
    if command.outcome == "packed" and command.weight_grams is None:
        raise Refused(
            ShipmentRefusal.ANSWER_INCOMPLETE, f"{command.answer_id} says packed, without weight_grams: send it again"
        )
    if command.outcome != "packed" and not command.reason:
        raise Refused(
            ShipmentRefusal.ANSWER_INCOMPLETE,
            f"{command.answer_id} says {command.outcome}, without a reason: send it again with one",
        )


def _require_past(command: sh.AnswerPick) -> None:
    if command.answered_at > command.now + timedelta(seconds=sh.ANSWERED_AHEAD_SECONDS_MAX):
        raise Refused(
            ShipmentRefusal.ANSWERED_AHEAD,
            f"{command.answer_id} is given at {command.answered_at.isoformat()}, and now is {command.now.isoformat()}",
        )


def _taken(shipment: Shipment, requested: sh.ShipmentRequested, answer: sh.PickAnswer) -> Iterator[sh.ShipmentEvent]:
    ids, location = ids_of(requested), requested.location
    if answer.outcome == "packed":
        for packed in pack(shipment, requested, _as_packed(requested, answer)):
            yield packed.model_copy(update={"answer": answer})
    elif answer.outcome == "short":
        missing = _units(requested.items) - _units(answer.picked)
        left = tuple(sh.PickedUnits(sku=sku, quantity=n) for sku, n in sorted(missing.items()))
        yield sh.ShipmentPickedShort(**ids, answer=answer, missing=left, location=location)
    else:
        yield sh.ShipmentPickRejected(**ids, answer=answer, location=location)


def _is_late(shipment: Shipment, answer: sh.PickAnswer) -> bool:
    return shipment.answered is not None and answer.answered_at < shipment.answered.answered_at


def _contradiction(shipment: Shipment, requested: sh.ShipmentRequested, answer: sh.PickAnswer) -> str:
    """Return what the answer contradicts, and what to do; an empty string if it fits."""
    if answer.location not in (None, requested.location):
        return f"{answer.location} answers, and {requested.location} was asked: find out which of them has the goods"
    if any(known.answer_id == answer.answer_id for known in shipment.answers):
        return f"answer {answer.answer_id} came before with other content: ask the warehouse which of them is right"
    return _against_the_request(requested, answer) or _against_what_is_known(shipment, requested, answer)


def _against_the_request(requested: sh.ShipmentRequested, answer: sh.PickAnswer) -> str:
    asked, picked = _units(requested.items), _units(answer.picked)
    for sku, quantity in sorted(picked.items()):
        if sku not in asked:
            return f"{quantity} x {sku} were picked, which was not asked for: have the warehouse look at its parcel"
        if quantity > asked[sku]:
            return f"{quantity} x {sku} were picked, and {asked[sku]} were asked for: have the warehouse count again"
    if answer.outcome == "packed" and answer.picked and picked != asked:
        return f"it is packed, and {_named(asked - picked)} is missing in it: have the warehouse look at its parcel"
    if answer.outcome == "short" and not asked - picked:
        return "it is short, and nothing is missing: ask the warehouse whether it is packed"
    planned = {carton.carton_id for carton in requested.cartons}
    if answer.cartons and {carton.carton_id for carton in answer.cartons} != planned:
        return f"it is packed in other cartons than {', '.join(sorted(planned)) or 'one'}: pack it by hand"
    return ""


def _against_what_is_known(shipment: Shipment, requested: sh.ShipmentRequested, answer: sh.PickAnswer) -> str:
    if shipment.cancelled:
        return (
            "it is packed, and was cancelled: have it unpacked, its units are sold to others"
            if answer.outcome == "packed"
            else ""
        )
    if answer.outcome != "packed":
        state = "is packed" if shipment.packed else "has left" if shipment.dispatched else ""
        return (
            f"it is {answer.outcome}, and {state} here: look for it" if state and not _is_late(shipment, answer) else ""
        )
    if shipment.packed is None:
        return _older(shipment, answer)
    again = next(pack(shipment._replace(packed=None), requested, _as_packed(requested, answer)))
    if (again.weight_grams, again.cartons) == (shipment.packed.weight_grams, shipment.packed.cartons):
        return ""
    return (
        f"it is packed with {again.weight_grams} g, and was packed with {shipment.packed.weight_grams} g, or in other "
        "cartons: have it weighed again"
    )


def _older(shipment: Shipment, answer: sh.PickAnswer) -> str:
    """Return what to do with a parcel that was packed before the warehouse said otherwise, as its clock has it."""
    if shipment.answered is None or not _is_late(shipment, answer):
        return ""
    known, since = shipment.answered.outcome, shipment.answered.answered_at.isoformat()
    return (
        f"it is packed at {answer.answered_at.isoformat()}, and {known} at {since}, which is later: ask the warehouse "
        "which of them is right, and pack it by hand if it is packed"
    )


def _as_packed(requested: sh.ShipmentRequested, answer: sh.PickAnswer) -> sh.PackShipment:
    assert answer.weight_grams is not None
    return sh.PackShipment(shipment_id=requested.shipment_id, weight_grams=answer.weight_grams, cartons=answer.cartons)


def _units(items: Iterable[sh.PickedUnits | Reservation]) -> Counter[str]:
    units: Counter[str] = Counter()
    for item in items:
        units[item.sku] += item.quantity
    return units


def _named(units: Counter[str]) -> str:
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in sorted(units.items()))
