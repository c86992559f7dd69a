"""Gateways to real providers, as the settings name them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.by_command import ByCommand
from oms_es.gateways.carrier.port import CarrierGateway
from oms_es.gateways.payment.port import PaymentGateway, PaymentProvider
from oms_es.gateways.warehouse import SimulatedWarehouse
from oms_es.kernel import Gateway
from oms_es.settings import Settings


class NotSetUp(OmsError):
    """A provider is named, and something that it needs is missing."""

    code = "not_set_up"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def connected_roles(settings: Settings) -> frozenset[str]:
    """Roles whose other side is there without simulators."""
    there = {
        PaymentGateway.name: settings.payments,
        SimulatedWarehouse.name: settings.warehouse,
        CarrierGateway.name: settings.carriers,
    }
    return frozenset(name for name, provider in there.items() if provider)


def gateways_of(settings: Settings) -> Sequence[Gateway]:
    """Raises NotSetUp."""
    return tuple(_gateways(settings))


def _gateways(settings: Settings) -> Iterator[Gateway]:
    if settings.payments == "stripe":
        yield PaymentGateway(_stripe(settings))
    if settings.warehouse == "commands":
        yield ByCommand(SimulatedWarehouse.name, SimulatedWarehouse.intents)
    if settings.carriers == "commands":
        yield ByCommand(CarrierGateway.name, CarrierGateway.intents)


def _stripe(settings: Settings) -> PaymentProvider:
    if not settings.stripe_api_key:
        raise NotSetUp("payments go to Stripe, and there is no key; set OMS_STRIPE_API_KEY")
    try:
        from oms_es.gateways.payment.stripe_provider import StripeProvider
    except ModuleNotFoundError:
        raise NotSetUp("the package stripe is not installed; run: pip install 'oms-es[stripe]'") from None
    return StripeProvider(
        settings.stripe_api_key.get_secret_value(),
        multicapture=settings.stripe_multicapture,
        api_base=settings.stripe_api_base,
    )
