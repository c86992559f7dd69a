"""Everything that can be set from outside, with its unit. Each field is the environment variable OMS_<NAME>."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CANONICAL = "canonical"
CHANNEL = r"[a-z0-9][a-z0-9._-]{0,63}(=[a-z_]{1,64})?"
CHANNELS = rf"^$|^{CHANNEL}(,{CHANNEL})*$"
"""Names of channels as orders have them, with which a topic may end; the dialect follows after =."""


ISSUER = r"(https://[^\s,#?]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[^\s,#?]*)?)"
ISSUERS = rf"^$|^{ISSUER}(,{ISSUER})*$"
"""URLs of issuers: with TLS, except on this machine."""
DEAD_LETTERS = ".dlq"
PROVIDER = "(stripe|wechatpay|alipay)"
PROVIDERS = rf"^{PROVIDER}(,{PROVIDER})*$"


BATCH_MAX_MAX = 10_000
CACHE_BYTES_MAX_MAX = 1_099_511_627_776
POLL_SECONDS_MAX = 3_600.0
KAFKA_SESSION_SECONDS_MAX = 1_800.0
"""The default of the brokers' `group.max.session.timeout.ms`."""
HTTP_RATE_PER_SECOND_MAX = 100_000.0


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="OMS_", frozen=True, extra="ignore")

    database_url: str | None = Field(
        default=None, description="An ordinary PostgreSQL server; without it the embedded one is started"
    )
    sql_database_url: str | None = Field(
        default=None,
        description="A login that may only read, which `oms-es sql` asks by; without it one is made for each query",
    )
    cache_bytes_max: PositiveInt = Field(
        default=402_653_184,
        le=CACHE_BYTES_MAX_MAX,
        description="Bytes of what a process that runs the engine remembers of streams, rows and events, as it "
        "estimates them; with less it asks the database more often",
    )
    home: Path | None = Field(default=None, description="Where the embedded database lives")
    log_style: Literal["json", "console"] = Field(
        default="console", description="Lines for programs or for people, on stderr"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is said; without it, each command is as loud as befits it"
    )
    log_key_file: Path | None = Field(
        default=None,
        description="The key that signs checkpoints of the log, as `oms-es audit key` writes it; without it the "
        "database holds one",
    )
    data_key: SecretStr | None = Field(
        default=None,
        description="The key that keys of personal data are wrapped with, 32 bytes in base64; after it, one a line, "
        "those before it. The embedded database makes one in a file beside its home",
    )
    data_key_file: Path | None = Field(
        default=None, description="The same in a file that only its owner may read, instead of OMS_DATA_KEY"
    )
    what_if_events_max: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="The longest history, in events, that `POST /v1/what-if` lives again in the server's memory: "
        "about 6 KB each",
    )
    gateways: Literal["none", "simulated"] = Field(
        default="none",
        description="What payments, parcels and bookings are asked of: no one, so that they wait, or simulators that "
        "move no money and no goods",
    )
    payments: str | None = Field(
        default=None,
        pattern=PROVIDERS,
        description="The payment providers that are asked for money, instead of what OMS_GATEWAYS says: `stripe`, "
        "`wechatpay` and `alipay`, separated by commas; a payment goes to whose its token is",
    )
    warehouse: Literal["commands"] | None = Field(
        default=None,
        description="`commands`: people or a warehouse system pack what is requested, by command; no gateway is asked",
    )
    carriers: Literal["commands", "easypost"] | None = Field(
        default=None,
        description="Who is asked to carry parcels, instead of what OMS_GATEWAYS says: `easypost`; or `commands`: "
        "bookings are made elsewhere and recorded by command, and no gateway is asked",
    )
    gateway_failures_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often in a row a payment provider or carrier may leave us without an answer before it is not "
        "asked for a while; what is for it waits, and others go on",
    )
    gateway_open_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3_600,
        description="How long, in seconds, a gateway that did not answer is not asked; then one request tries it",
    )
    stripe_api_key: SecretStr | None = Field(
        default=None, description="Secret or restricted key, `sk_…` or `rk_…`; needed where payments go to Stripe"
    )
    stripe_multicapture: bool = Field(
        default=False,
        description="Whether Stripe lets this account capture one authorisation in parts. Else the first parcel's "
        "capture lets go of the rest, and each further parcel is authorised again",
    )
    stripe_api_base: str = Field(
        default="https://api.stripe.com",
        pattern=rf"^{ISSUER}$",
        description="Where Stripe is asked, such as a server for tests",
    )
    payment_subject: str = Field(
        default="Order",
        min_length=1,
        max_length=60,
        description="What the customer reads at WeChat Pay and Alipay, before the name of the payment",
    )
    payment_open_seconds: int = Field(
        default=1_800,
        ge=120,
        le=3_600,
        description="How long a customer may pay at WeChat Pay and Alipay, from when the order asked for the money",
    )
    wechatpay_mchid: str = Field(default="", pattern=r"^[0-9]{0,32}$", description="The merchant at WeChat Pay (mchid)")
    wechatpay_appid: str = Field(default="", max_length=32, description="The app that its orders are of (appid)")
    wechatpay_serial: str = Field(
        default="", max_length=64, description="The serial number of the merchant's API certificate"
    )
    wechatpay_key_file: Path | None = Field(
        default=None, description="That certificate's private key in PEM, `apiclient_key.pem`"
    )
    wechatpay_api_key: SecretStr | None = Field(
        default=None, min_length=32, max_length=32, description="The API v3 key: what WeChat Pay encrypts with"
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
        description="Where WeChat Pay reports: `/v1/webhooks/CONNECTION` of `oms-es serve`, as it is seen from outside",
    )
    wechatpay_base: str = Field(
        default="https://api.mch.weixin.qq.com",
        pattern=rf"^{ISSUER}$",
        description="Where WeChat Pay is asked, such as a server for tests",
    )
    alipay_app_id: str = Field(default="", pattern=r"^[0-9]{0,32}$", description="The app at Alipay (app_id)")
    alipay_seller_id: str = Field(
        default="", pattern=r"^[0-9]{0,32}$", description="Whose orders they are (PID); empty: of any seller of the app"
    )
    alipay_key_file: Path | None = Field(default=None, description="The app's private key in PEM")
    alipay_public_key_file: Path | None = Field(default=None, description="Alipay's public key of the app, in PEM")
    alipay_notify_url: str = Field(
        default="", pattern=r"^(https://[^\s?#]+)?$", description="Where Alipay reports, as OMS_WECHATPAY_NOTIFY_URL"
    )
    alipay_return_url: str = Field(
        default="", pattern=r"^(https://[^\s]+)?$", description="Where the customer goes from Alipay's page"
    )
    alipay_base: str = Field(
        default="https://openapi.alipay.com/gateway.do",
        pattern=rf"^{ISSUER}$",
        description="Where Alipay is asked, such as a server for tests",
    )
    easypost_api_key: SecretStr | None = Field(
        default=None, description="Production or test key, `EZAK…` or `EZTK…`; needed where parcels go by EasyPost"
    )
    easypost_senders_file: Path | None = Field(
        default=None,
        description="JSON with the address of each location, as EasyPost has addresses: "
        '`{"berlin": {"company": …, "street1": …, "city": …, "zip": …, "country": "DE"}}`',
    )
    easypost_currency: str = Field(
        default="",
        pattern=r"^([A-Z]{3})?$",
        description="In which currency EasyPost's rates are compared; needed where its carriers are paid in several",
    )
    easypost_label_format: Literal["PDF", "PNG", "ZPL"] = Field(default="PDF", description="How labels are made")
    easypost_base: str = Field(
        default="https://api.easypost.com",
        pattern=rf"^{ISSUER}$",
        description="Where EasyPost is asked, such as a server for tests",
    )
    document_folder: Path | None = Field(
        default=None,
        description="Where the bytes of new documents are kept, in a folder that every process sees; without it, in "
        "the database",
    )
    document_bytes_max: int = Field(
        default=20_000_000, ge=1, le=200_000_000, description="The largest document that people may add"
    )
    document_loose_days: int = Field(
        default=30, ge=1, le=3_650, description="For how many days a document is kept that is attached to nothing"
    )
    kuaidi100_customer: str = Field(
        default="",
        max_length=64,
        description="The account at kuaidi100 (customer), which `oms-es callbacks poll` and `subscribe` ask",
    )
    kuaidi100_key: SecretStr | None = Field(default=None, description="Its key, which requests are signed with")
    kuaidi100_salt: SecretStr | None = Field(
        default=None,
        min_length=8,
        max_length=64,
        description="What kuaidi100 signs its pushes with: the secret of the connection that they come to",
    )
    kuaidi100_callback_url: str = Field(
        default="", pattern=r"^(https://[^\s?#]+)?$", description="Where it pushes to, as OMS_WECHATPAY_NOTIFY_URL"
    )
    kuaidi100_base: str = Field(
        default="https://poll.kuaidi100.com",
        pattern=rf"^{ISSUER}$",
        description="Where kuaidi100 is asked, such as a server for tests",
    )
    batch_max: PositiveInt = Field(default=500, le=BATCH_MAX_MAX, description="Deliveries per transaction")
    poll_seconds: PositiveFloat = Field(
        default=1.0, le=POLL_SECONDS_MAX, description="The longest wait before looking for events unasked"
    )
    kafka: str | None = Field(default=None, description="Bootstrap servers, host:port, separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How the brokers are spoken to: TLS is SSL, with a login SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="How the login is proved; needed with SASL"
    )
    kafka_sasl_username: str | None = Field(default=None, description="The login")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="Its password")
    kafka_ssl_cafile: Path | None = Field(default=None, description="PEM file of the authority that signed the brokers")
    channel_topics: str = Field(
        default="",
        pattern=CHANNELS,
        description="Channels with a topic of their own, separated by commas, as `web` or `shop=shopify` where the "
        "dialect is not the canonical one; `oms-es topics` makes them",
    )
    kafka_session_seconds: PositiveFloat = Field(
        default=10.0,
        le=KAFKA_SESSION_SECONDS_MAX,
        description="A worker silent for longer is thought to be dead, and others take its partitions",
    )
    on_stopped: Literal["exit", "go_on"] | None = Field(
        default=None,
        description="What becomes of a process with a reader that had to stop before an event; without it `oms-es run` "
        "exits, and a worker goes on with its other partitions",
    )
    unknown_sku: Literal["accept", "hold", "refuse"] = Field(
        default="accept",
        description="An order with a SKU that is neither described nor in stock: taken, held for a person, or refused",
    )
    unknown_channel: Literal["accept", "hold", "refuse"] = Field(
        default="accept", description="The same of a channel that no return policy and no location names"
    )
    unknown_delivery_option: Literal["accept", "hold", "refuse"] = Field(
        default="accept",
        description="The same of a delivery option that is not defined and no location offers; `standard` is known",
    )
    unknown_country: Literal["accept", "hold", "refuse"] = Field(
        default="accept", description="The same of a country that ISO 3166-1 does not have"
    )
    http_host: str = Field(default="127.0.0.1", description="Where `oms-es serve` listens, once a key was made")
    http_port: int = Field(default=8080, ge=0, le=65_535, description="On which port; 0 is any free one")
    http_rate_per_second: PositiveFloat = Field(
        default=200.0,
        le=HTTP_RATE_PER_SECOND_MAX,
        description="Requests that a key may send a second, over two seconds",
    )
    oidc_issuers: str = Field(
        default="",
        pattern=ISSUERS,
        description="Issuers whose bearer tokens (OpenID Connect) are taken over HTTP, as their `iss` has it, "
        "separated by commas; what they publish at /.well-known/openid-configuration names their keys",
    )
    oidc_audience: str = Field(default="oms-es", min_length=1, description="For whom such a token must be (`aud`)")
    oidc_scopes_claim: str = Field(default="scope", description="The claim with scopes and roles, as keys have them")
    oidc_channels_claim: str = Field(
        default="channels", description="The claim with the channels that a token is for; without it, it is for all"
    )
    oidc_client_id: str = Field(
        default="",
        max_length=255,
        description="As which people sign in to the console at an issuer (authorization code flow with PKCE); without "
        "it they sign in with keys alone",
    )
    oidc_login_issuer: str = Field(
        default="",
        pattern=rf"^$|^{ISSUER}$",
        description="At which issuer; the first of OMS_OIDC_ISSUERS if nothing is said",
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Of that client, where it is a confidential one"
    )
    oidc_login_scope: str = Field(
        default="openid", pattern=r"^openid( \S+)*$", description="What signing in asks for: enough for its claims"
    )
    webhook_networks: str = Field(
        default="",
        description="Networks to which webhooks are sent although they are not public, separated by commas, such as "
        "10.1.0.0/16; there also without TLS",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Where /metrics, /livez and /readyz listen")
    metrics_port: int | None = Field(default=None, ge=0, le=65_535, description="Without it nothing is served")

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
