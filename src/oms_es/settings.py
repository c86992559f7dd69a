"""Everything that can be set from outside, with its unit. Each field is the environment variable OMS_<NAME>."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from oms_es.carrier_settings import CarrierSettings
from oms_es.patterns import CHANNELS, ISSUER, ISSUERS, some_of
from oms_es.report_settings import ReportSettings
from oms_es.schemas.catalog.routes import CARRIER_GATEWAYS, PAYMENT_GATEWAYS, WAREHOUSE_GATEWAYS

CANONICAL = "canonical"
DEAD_LETTERS = ".dlq"

BATCH_MAX_MAX = 10_000
CACHE_BYTES_MAX_MAX = 1_099_511_627_776
POLL_SECONDS_MAX = 3_600.0
KAFKA_SESSION_SECONDS_MAX = 1_800.0
"""The default of the brokers' `group.max.session.timeout.ms`."""
HTTP_RATE_PER_SECOND_MAX = 100_000.0
DAYS_MAX = 36_500


class Settings(CarrierSettings, ReportSettings):
    model_config = SettingsConfigDict(env_prefix="OMS_", frozen=True, extra="ignore")

    database_url: str | None = Field(
        default=None, description="URL of a PostgreSQL server; without it the embedded one is started"
    )
    sql_database_url: str | None = Field(
        default=None,
        description="URL with a read-only login for `oms-es sql`; without it a login is made for each query",
    )
    cache_bytes_max: PositiveInt = Field(
        default=402_653_184,
        le=CACHE_BYTES_MAX_MAX,
        description="Size of the cache of streams, rows and events in a process that runs the engine, in estimated "
        "bytes; with a smaller one it reads from the database more often",
    )
    home: Path | None = Field(default=None, description="Directory of the embedded database")
    log_style: Literal["json", "console"] = Field(
        default="console", description="Format of log lines on stderr: for programs or for people"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged; by default it depends on the command"
    )
    log_key_file: Path | None = Field(
        default=None,
        description="The key that signs checkpoints of the log, as `oms-es audit key` writes it; without it the "
        "database holds one",
    )
    data_key: SecretStr | None = Field(
        default=None,
        description="The key that encrypts the keys of personal data, 32 bytes in base64; earlier keys follow it, "
        "one a line. The embedded database makes one in a file beside its home",
    )
    data_key_file: Path | None = Field(
        default=None, description="File with the same content, readable by its owner only, instead of OMS_DATA_KEY"
    )
    gift_card_key_file: Path | None = Field(default=None, description="File with the keys of gift cards, one a line")
    forget_after_days: int | None = Field(
        default=None, ge=1, le=DAYS_MAX, description="Days after its end in which an order's personal data is kept"
    )
    dead_letter_days: int | None = Field(
        default=None, ge=1, le=DAYS_MAX, description="Days in which the content of a settled dead letter is kept"
    )
    statement_days: int | None = Field(
        default=None,
        ge=1,
        le=DAYS_MAX,
        description="Days after its last day in which the texts of a statement's lines are kept",
    )
    what_if_events_max: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="The longest history, in events of about 6 KB, that `POST /v1/what-if` replays in memory",
    )
    gateways: Literal["none", "simulated"] = Field(
        default="none",
        description="The gateways for payments, parcels and bookings: none, so that these wait, or simulators that "
        "move no money and no goods",
    )
    payments: str | None = Field(
        default=None,
        pattern=some_of(PAYMENT_GATEWAYS),
        description="The payment providers, instead of the one of OMS_GATEWAYS: `stripe`, "
        "`wechatpay` and `alipay`, separated by commas; a payment is sent to the gateway that a route "
        "names, else to the provider of its token",
    )
    warehouse: str | None = Field(
        default=None,
        pattern=some_of(WAREHOUSE_GATEWAYS),
        description="The gateways to warehouses, instead of the one of OMS_GATEWAYS, separated by commas: `files` in "
        "OMS_WAREHOUSE_FOLDER; `commands`: people or a warehouse system list `pick_requests`, and answer by command. "
        "A request is sent to the gateway that a route names, else to the first",
    )
    warehouse_folder: Path | None = Field(
        default=None,
        description="Folder for the files of warehouses, with one folder for each location. It is not made",
    )
    carriers: str | None = Field(
        default=None,
        pattern=some_of(CARRIER_GATEWAYS),
        description="The gateways to carriers, likewise: `easypost`; `sfexpress`; `commands`: bookings are "
        "made elsewhere, and recorded by command",
    )
    gateway_failures_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often in a row a payment provider or carrier may fail to answer before it is not "
        "asked for a while; its requests wait, and those of others go on",
    )
    gateway_open_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3_600,
        description="How long, in seconds, a failing gateway is not asked; then one request tries it",
    )
    stripe_api_key: SecretStr | None = Field(
        default=None, description="Secret or restricted key, `sk_…` or `rk_…`; needed for payments by Stripe"
    )
    stripe_multicapture: bool = Field(
        default=False,
        description="Whether Stripe lets this account capture one authorisation in parts. Otherwise the first parcel's "
        "capture releases the rest, and each further parcel is authorised again",
    )
    stripe_api_base: str = Field(
        default="https://api.stripe.com",
        pattern=rf"^{ISSUER}$",
        description="The base URL of Stripe, which a test may replace",
    )
    payment_subject: str = Field(
        default="Order",
        min_length=1,
        max_length=60,
        description="The text that the customer sees at WeChat Pay and Alipay, before the name of the payment",
    )
    payment_open_seconds: int = Field(
        default=1_800,
        ge=120,
        le=3_600,
        description="How long, in seconds, a customer may pay at WeChat Pay and Alipay, from the payment request on",
    )
    wechatpay_mchid: str = Field(default="", pattern=r"^[0-9]{0,32}$", description="The merchant at WeChat Pay (mchid)")
    wechatpay_appid: str = Field(default="", max_length=32, description="The app of its orders (appid)")
    wechatpay_serial: str = Field(
        default="", max_length=64, description="The serial number of the merchant's API certificate"
    )
    wechatpay_key_file: Path | None = Field(
        default=None, description="That certificate's private key in PEM, `apiclient_key.pem`"
    )
    wechatpay_api_key: SecretStr | None = Field(
        default=None, min_length=32, max_length=32, description="The API v3 key, with which WeChat Pay encrypts"
    )
    wechatpay_public_key_id: str = Field(
        default="",
        max_length=64,
        description="The id of WeChat Pay's public key, `PUB_KEY_ID_…`; without it its certificates are fetched",
    )
    wechatpay_public_key_file: Path | None = Field(default=None, description="WeChat Pay's public key in PEM")
    wechatpay_notify_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="The public URL for WeChat Pay's reports: `/v1/webhooks/CONNECTION` of `oms-es serve`",
    )
    wechatpay_base: str = Field(
        default="https://api.mch.weixin.qq.com",
        pattern=rf"^{ISSUER}$",
        description="The base URL of WeChat Pay, which a test may replace",
    )
    alipay_app_id: str = Field(default="", pattern=r"^[0-9]{0,32}$", description="The app at Alipay (app_id)")
    alipay_seller_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,32}$",
        description="The seller of the orders (PID); empty for any seller of the app",
    )
    alipay_key_file: Path | None = Field(default=None, description="The app's private key in PEM")
    alipay_public_key_file: Path | None = Field(default=None, description="Alipay's public key of the app, in PEM")
    alipay_notify_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="The public URL for Alipay's reports, as OMS_WECHATPAY_NOTIFY_URL",
    )
    alipay_return_url: str = Field(
        default="", pattern=r"^(https://[^\s]+)?$", description="The URL to which Alipay's page sends the customer back"
    )
    alipay_base: str = Field(
        default="https://openapi.alipay.com/gateway.do",
        pattern=rf"^{ISSUER}$",
        description="The URL of Alipay, which a test may replace",
    )
    invoice_font: Path | None = Field(
        default=None,
        description="A TrueType font with the letters of everyone who is sent invoices; by default of Latin only",
    )
    archive_folder: Path | None = Field(default=None, description="Folder of archived events, seen by every process")
    document_folder: Path | None = Field(
        default=None,
        description="Folder for the bytes of new documents, which every process must see; without it they are kept in "
        "the database",
    )
    document_bytes_max: int = Field(
        default=20_000_000, ge=1, le=200_000_000, description="The largest document, in bytes, that people may add"
    )
    document_loose_days: int = Field(
        default=30,
        ge=1,
        le=3_650,
        description="For how many days a document is kept without being attached to anything",
    )
    batch_max: PositiveInt = Field(
        default=500, le=BATCH_MAX_MAX, description="Largest number of deliveries per transaction"
    )
    poll_seconds: PositiveFloat = Field(
        default=1.0,
        le=POLL_SECONDS_MAX,
        description="The longest time, in seconds, before looking for events without a notification",
    )
    kafka: str | None = Field(default=None, description="Bootstrap servers, host:port, separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Protocol to the brokers: SSL for TLS, SASL_SSL for TLS with a login"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="Mechanism of the login; needed with SASL"
    )
    kafka_sasl_username: str | None = Field(default=None, description="The user of the login")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="The password of the login")
    kafka_ssl_cafile: Path | None = Field(
        default=None, description="PEM file of the authority that signed the brokers' certificates"
    )
    channel_topics: str = Field(
        default="",
        pattern=CHANNELS,
        description="Channels with a topic of their own, separated by commas, as `web` or `shop=shopify` where the "
        "dialect is not the canonical one; `oms-es topics` makes them",
    )
    kafka_session_seconds: PositiveFloat = Field(
        default=10.0,
        le=KAFKA_SESSION_SECONDS_MAX,
        description="After so many seconds without a heartbeat a worker counts as dead, and others take its partitions",
    )
    on_stopped: Literal["exit", "go_on"] | None = Field(
        default=None,
        description="What a process does if one of its readers had to stop before an event; by default `oms-es run` "
        "exits, and a worker goes on with its other partitions",
    )
    unknown_sku: Literal["accept", "hold", "refuse"] = Field(
        default="accept",
        description="Orders with a SKU that is neither described nor in stock: accept, hold for a person, or refuse",
    )
    unknown_channel: Literal["accept", "hold", "refuse"] = Field(
        default="accept", description="The same for a channel that no return policy and no location names"
    )
    unknown_delivery_option: Literal["accept", "hold", "refuse"] = Field(
        default="accept",
        description="The same for a delivery option that is not defined and no location offers; `standard` is known",
    )
    unknown_country: Literal["accept", "hold", "refuse"] = Field(
        default="accept", description="The same for a country that ISO 3166-1 does not have"
    )
    http_host: str = Field(
        default="127.0.0.1", description="The address where `oms-es serve` listens; it needs an API key"
    )
    http_port: int = Field(
        default=8080, ge=0, le=65_535, description="The port where `oms-es serve` listens; 0 for any free one"
    )
    http_rate_per_second: PositiveFloat = Field(
        default=200.0,
        le=HTTP_RATE_PER_SECOND_MAX,
        description="How many requests a second a key may send, averaged over two seconds",
    )
    oidc_issuers: str = Field(
        default="",
        pattern=ISSUERS,
        description="Issuers whose bearer tokens (OpenID Connect) are accepted over HTTP, as in their `iss`, "
        "separated by commas; their /.well-known/openid-configuration names their keys",
    )
    oidc_audience: str = Field(
        default="oms-es", min_length=1, description="The audience that such a token must have (`aud`)"
    )
    oidc_scopes_claim: str = Field(
        default="scope", description="The claim with scopes and roles, named as those of API keys"
    )
    oidc_channels_claim: str = Field(
        default="channels", description="The claim with the channels of a token; without the claim the token is for all"
    )
    oidc_client_id: str = Field(
        default="",
        max_length=255,
        description="The client with which people sign in to the console at an issuer (authorization code flow with "
        "PKCE); without it they sign in with keys only",
    )
    oidc_login_issuer: str = Field(
        default="",
        pattern=rf"^$|^{ISSUER}$",
        description="The issuer of that client; by default the first of OMS_OIDC_ISSUERS",
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="The secret of that client, if it is a confidential one"
    )
    oidc_login_scope: str = Field(
        default="openid",
        pattern=r"^openid( \S+)*$",
        description="The scopes that signing in asks for, which must cover its claims",
    )
    webhook_networks: str = Field(
        default="",
        description="Networks to which webhooks are sent although not public, and without TLS, such as 10.1.0.0/16; "
        "separated by commas",
    )
    metrics_host: str = Field(default="127.0.0.1", description="The address of /metrics, /livez and /readyz")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="The port of /metrics, /livez and /readyz; without it they are not served",
    )

    @field_validator("webhook_networks")
    @classmethod
    def _networks(cls, names: str) -> str:
        for name in filter(None, (one.strip() for one in names.split(","))):
            ip_network(name)
        return names

    @field_validator("channel_topics")
    @classmethod
    def _no_dead_letters(cls, names: str) -> str:
        if taken := [name for name in _own_topics(names) if name.endswith(DEAD_LETTERS)]:
            raise ValueError(
                f"{', '.join(taken)}: topics that end in {DEAD_LETTERS} have dead letters; rename the channel"
            )
        return names

    @property
    def issuers(self) -> list[str]:
        return [name for name in self.oidc_issuers.split(",") if name]

    @model_validator(mode="after")
    def _signs_in_where_tokens_are_taken(self) -> Self:
        if self.oidc_login_issuer and self.oidc_login_issuer not in self.issuers:
            raise ValueError(f"the login issuer {self.oidc_login_issuer} is not among OMS_OIDC_ISSUERS; add it there")
        return self

    @property
    def login_issuer(self) -> str:
        """The issuer whose client the console is."""
        return self.oidc_login_issuer or next(iter(self.issuers), "")

    @property
    def own_topics(self) -> dict[str, str]:
        """The channels with a topic of their own, each with its dialect."""
        return _own_topics(self.channel_topics)


def _own_topics(names: str) -> dict[str, str]:
    parts = [name.partition("=") for name in names.split(",") if name]
    return {channel: dialect or CANONICAL for channel, _, dialect in parts}
