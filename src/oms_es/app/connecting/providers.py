"""Gateways to the real providers that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from operator import attrgetter
from pathlib import Path

from pydantic import TypeAdapter

from oms_es.app.connecting.warehouse_answers import ROLE as ANSWERS_ROLE
from oms_es.app.invoicing.issuing import InvoicingGateway
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.breaker import Breaker, Limits
from oms_es.gateways.by_command import ByCommand
from oms_es.gateways.carrier.easypost import client as easypost
from oms_es.gateways.carrier.easypost.provider import BATCH_MAX as EASYPOST_BATCH_MAX
from oms_es.gateways.carrier.easypost.provider import EasyPostCarrier
from oms_es.gateways.carrier.easypost.senders import SENDERS as EASYPOST_SENDERS
from oms_es.gateways.carrier.kuaidi100 import client as kuaidi100
from oms_es.gateways.carrier.kuaidi100.notices import Kuaidi100Notices
from oms_es.gateways.carrier.kuaidi100.tracking import Kuaidi100Tracking
from oms_es.gateways.carrier.port import Carrier, CarrierGateway, Subscriber, Tracking
from oms_es.gateways.carrier.senders import BadSenders, Shape, senders_in
from oms_es.gateways.carrier.sfexpress import client as sfexpress
from oms_es.gateways.carrier.sfexpress.notices import SfExpressNotices
from oms_es.gateways.carrier.sfexpress.provider import BATCH_MAX as SFEXPRESS_BATCH_MAX
from oms_es.gateways.carrier.sfexpress.provider import SfExpressCarrier, Terms
from oms_es.gateways.carrier.sfexpress.shapes import SENDERS as SFEXPRESS_SENDERS
from oms_es.gateways.notices import Opener, Openers
from oms_es.gateways.payment import rsa
from oms_es.gateways.payment.alipay import client as alipay
from oms_es.gateways.payment.alipay.notices import AlipayNotices
from oms_es.gateways.payment.alipay.provider import AlipayProvider
from oms_es.gateways.payment.port import PaymentGateway, PaymentProvider
from oms_es.gateways.payment.routing import Providers
from oms_es.gateways.payment.wechatpay import signing
from oms_es.gateways.payment.wechatpay.client import Client
from oms_es.gateways.payment.wechatpay.notices import WeChatPayNotices
from oms_es.gateways.payment.wechatpay.provider import WeChatPayProvider
from oms_es.gateways.routed import RoutedGateway
from oms_es.gateways.warehouse.folder import FolderWarehouse
from oms_es.gateways.warehouse.port import INTENTS as WAREHOUSE_INTENTS
from oms_es.gateways.warehouse.port import NAME as WAREHOUSE
from oms_es.kernel import Gateway
from oms_es.settings import Settings


class NotSetUp(OmsError):
    """A provider is configured, and a setting that it needs is missing."""

    code = "not_set_up"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def connected_roles(settings: Settings) -> frozenset[str]:
    """Return the gateway roles whose external system is connected without simulators."""
    there = {
        PaymentGateway.name: settings.payments,
        WAREHOUSE: settings.warehouse,
        ANSWERS_ROLE: answers_folder(settings),
        CarrierGateway.name: settings.carriers,
    }
    return frozenset(name for name, provider in there.items() if provider) | {InvoicingGateway.name}


def answers_folder(settings: Settings) -> Path | None:
    """Return the folder in which warehouses answer, or None."""
    return settings.warehouse_folder if "files" in _names_in(settings.warehouse) else None


def _names_in(setting: str | None) -> list[str]:
    return setting.split(",") if setting else []


def gateways_of(settings: Settings) -> Sequence[Gateway]:
    """Return the configured gateways. Raise NotSetUp."""
    return tuple(_gateways(settings))


def _gateways(settings: Settings) -> Iterator[Gateway]:
    if settings.payments:
        providers = {name: PAYMENTS[name](settings) for name in _names_in(settings.payments)}
        limits = limits_of(settings)
        guarded = Providers(providers, {name: Breaker(name, limits) for name in providers})
        yield PaymentGateway(guarded, now=lambda: datetime.now(UTC))
    if settings.warehouse:
        warehouses = {name: WAREHOUSES[name](settings) for name in _names_in(settings.warehouse)}
        yield RoutedGateway(warehouses, attrgetter("warehouse_gateway"))
    if settings.carriers:
        carriers = {name: _carrier(name, settings) for name in _names_in(settings.carriers)}
        yield RoutedGateway(carriers, attrgetter("carrier_gateway"))


def _carrier(name: str, settings: Settings) -> Gateway:
    if name == "commands":
        return ByCommand(CarrierGateway.name, CarrierGateway.intents)
    guard = Breaker(name, limits_of(settings))
    return CarrierGateway(CARRIERS[name](settings), batch_max=BATCHES[name], breaker=guard, known_as=name)


def _files(settings: Settings) -> Gateway:
    if not settings.warehouse_folder:
        raise NotSetUp("warehouses exchange files, and there is no folder; set OMS_WAREHOUSE_FOLDER")
    return FolderWarehouse(settings.warehouse_folder)


WAREHOUSES: Mapping[str, Callable[[Settings], Gateway]] = {
    "files": _files,
    "commands": lambda _settings: ByCommand(WAREHOUSE, WAREHOUSE_INTENTS),
}


def limits_of(settings: Settings) -> Limits:
    """Return the limits of every gateway's breaker."""
    return Limits(settings.gateway_failures_max, settings.gateway_open_seconds)


def openers_of(settings: Settings) -> Openers:
    """Return the openers for reports of the configured providers. Raise NotSetUp."""
    checkword = settings.sfexpress_checkword.get_secret_value() if settings.sfexpress_checkword else ""
    openers: dict[str, Opener] = {"kuaidi100": Kuaidi100Notices(), "sfexpress": SfExpressNotices(checkword)}
    if settings.wechatpay_mchid:
        keys = _wechatpay_client(settings).keys
        openers["wechatpay"] = WeChatPayNotices(settings.wechatpay_mchid, settings.wechatpay_appid, keys.key_of)
    if settings.alipay_app_id:
        openers["alipay"] = AlipayNotices(settings.alipay_app_id, settings.alipay_seller_id)
    return openers


def trackings_of(settings: Settings) -> Sequence[Tracking]:
    """Return the systems to ask about parcels: first those that book, SF Express first, as it is asked for its own
    alone, then one that knows others' numbers. Raise NotSetUp."""
    carriers = _names_in(settings.carriers)
    trackings: list[Tracking] = [_sfexpress(settings)] if "sfexpress" in carriers else []
    trackings += [_easypost(settings)] if "easypost" in carriers else []
    if settings.kuaidi100_customer:
        trackings.append(_kuaidi100(settings))
    if not trackings:
        raise NotSetUp("no one is set up who can be asked; set OMS_CARRIERS=easypost, or OMS_KUAIDI100_CUSTOMER")
    return trackings


def subscriber_of(settings: Settings) -> Subscriber:
    """Return the system that can push each change of a parcel. Raise NotSetUp."""
    for name in ("customer", "callback_url", "salt"):
        if not getattr(settings, f"kuaidi100_{name}"):
            raise NotSetUp(f"kuaidi100 is to push each change, and is not set up; set OMS_KUAIDI100_{name.upper()}")
    return _kuaidi100(settings)


def _kuaidi100(settings: Settings) -> Kuaidi100Tracking:
    if not settings.kuaidi100_key:
        raise NotSetUp("kuaidi100 is asked, and there is no key; set OMS_KUAIDI100_KEY")
    return Kuaidi100Tracking(
        kuaidi100.Client(
            settings.kuaidi100_customer, settings.kuaidi100_key.get_secret_value(), base=settings.kuaidi100_base
        ),
        callback_url=settings.kuaidi100_callback_url,
        salt=settings.kuaidi100_salt.get_secret_value() if settings.kuaidi100_salt else "",
    )


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


def _wechatpay(settings: Settings) -> PaymentProvider:
    if not settings.wechatpay_notify_url:
        raise NotSetUp("WeChat Pay reports to an address; set OMS_WECHATPAY_NOTIFY_URL")
    return WeChatPayProvider(
        _wechatpay_client(settings),
        notify_url=settings.wechatpay_notify_url,
        subject=settings.payment_subject,
        open_seconds=settings.payment_open_seconds,
    )


def _wechatpay_client(settings: Settings) -> Client:
    for name in ("mchid", "appid", "serial", "key_file", "api_key"):
        if not getattr(settings, f"wechatpay_{name}"):
            raise NotSetUp(f"WeChat Pay is not set up; set OMS_WECHATPAY_{name.upper()}")
    assert settings.wechatpay_key_file
    assert settings.wechatpay_api_key
    public_keys = {}
    try:
        key = rsa.private_key_in(settings.wechatpay_key_file)
        if settings.wechatpay_public_key_id and settings.wechatpay_public_key_file:
            public_keys[settings.wechatpay_public_key_id] = rsa.public_key_in(settings.wechatpay_public_key_file)
    except rsa.BadKey as error:
        raise NotSetUp(str(error)) from None
    merchant = signing.Merchant(settings.wechatpay_mchid, settings.wechatpay_appid, settings.wechatpay_serial, key)
    api_key = settings.wechatpay_api_key.get_secret_value()
    return Client(merchant, api_key, base=settings.wechatpay_base, public_keys=public_keys)


def _alipay(settings: Settings) -> PaymentProvider:
    for name in ("app_id", "key_file", "public_key_file", "notify_url"):
        if not getattr(settings, f"alipay_{name}"):
            raise NotSetUp(f"Alipay is not set up; set OMS_ALIPAY_{name.upper()}")
    assert settings.alipay_key_file
    assert settings.alipay_public_key_file
    try:
        key = rsa.private_key_in(settings.alipay_key_file)
        public_key = rsa.public_key_in(settings.alipay_public_key_file)
    except rsa.BadKey as error:
        raise NotSetUp(str(error)) from None
    return AlipayProvider(
        alipay.Client(settings.alipay_app_id, key, public_key, base=settings.alipay_base),
        notify_url=settings.alipay_notify_url,
        return_url=settings.alipay_return_url,
        subject=settings.payment_subject,
        open_seconds=settings.payment_open_seconds,
    )


PAYMENTS: Mapping[str, Callable[[Settings], PaymentProvider]] = {
    "stripe": _stripe,
    "wechatpay": _wechatpay,
    "alipay": _alipay,
}


def _senders(path: Path, shape: TypeAdapter[dict[str, Shape]], setting: str) -> Mapping[str, Shape]:
    """Return the senders in a carrier's file, by location. Raise NotSetUp."""
    try:
        return senders_in(path, shape, setting)
    except BadSenders as error:
        raise NotSetUp(str(error)) from None


def _easypost(settings: Settings) -> EasyPostCarrier:
    for name in ("api_key", "senders_file"):
        if not getattr(settings, f"easypost_{name}"):
            raise NotSetUp(f"parcels go by EasyPost, which is not set up; set OMS_EASYPOST_{name.upper()}")
    assert settings.easypost_api_key
    assert settings.easypost_senders_file
    return EasyPostCarrier(
        easypost.Client(settings.easypost_api_key.get_secret_value(), base=settings.easypost_base),
        _senders(settings.easypost_senders_file, EASYPOST_SENDERS, "OMS_EASYPOST_SENDERS_FILE"),
        currency=settings.easypost_currency,
        label_format=settings.easypost_label_format,
    )


def _sfexpress(settings: Settings) -> SfExpressCarrier:
    for name in ("partner_id", "checkword", "monthly_card", "senders_file"):
        if not getattr(settings, f"sfexpress_{name}"):
            raise NotSetUp(f"parcels go by SF Express, which is not set up; set OMS_SFEXPRESS_{name.upper()}")
    assert settings.sfexpress_checkword
    assert settings.sfexpress_senders_file
    checkword = settings.sfexpress_checkword.get_secret_value()
    return SfExpressCarrier(
        sfexpress.Client(settings.sfexpress_partner_id, checkword, base=settings.sfexpress_base, now=time.time),
        _senders(settings.sfexpress_senders_file, SFEXPRESS_SENDERS, "OMS_SFEXPRESS_SENDERS_FILE"),
        Terms(settings.sfexpress_monthly_card, settings.sfexpress_product, settings.sfexpress_cargo),
    )


CARRIERS: Mapping[str, Callable[[Settings], Carrier]] = {"easypost": _easypost, "sfexpress": _sfexpress}
BATCHES: Mapping[str, int] = {"easypost": EASYPOST_BATCH_MAX, "sfexpress": SFEXPRESS_BATCH_MAX}
