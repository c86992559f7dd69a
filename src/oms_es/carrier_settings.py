"""The settings of carriers and of systems that track parcels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from oms_es.patterns import ISSUER


class CarrierSettings(BaseSettings):
    easypost_api_key: SecretStr | None = Field(
        default=None, description="Production or test key, `EZAK…` or `EZTK…`; needed for parcels by EasyPost"
    )
    easypost_senders_file: Path | None = Field(
        default=None,
        description="JSON with the address of each location, in EasyPost's form: "
        '`{"berlin": {"company": …, "street1": …, "city": …, "zip": …, "country": "DE"}}`',
    )
    easypost_currency: str = Field(
        default="",
        pattern=r"^([A-Z]{3})?$",
        description="The currency in which EasyPost's rates are compared; needed if its carriers charge several",
    )
    easypost_label_format: Literal["PDF", "PNG", "ZPL"] = Field(default="PDF", description="The file format of labels")
    easypost_base: str = Field(
        default="https://api.easypost.com",
        pattern=rf"^{ISSUER}$",
        description="The base URL of EasyPost, which a test may replace",
    )
    sfexpress_partner_id: str = Field(
        default="", max_length=64, description="The account at SF Express (partnerID); needed for parcels by SF Express"
    )
    sfexpress_checkword: SecretStr | None = Field(
        default=None, description="The secret of this account (checkword), with which messages are signed"
    )
    sfexpress_monthly_card: str = Field(
        default="", pattern=r"^([0-9]{10})?$", description="The monthly account that pays for parcels (monthlyCard)"
    )
    sfexpress_senders_file: Path | None = Field(
        default=None,
        description="JSON with the address of each location, in SF's form: "
        '`{"shanghai": {"contact": …, "mobile": …, "province": …, "city": …, "county": …, "address": …}}`',
    )
    sfexpress_product: int = Field(
        default=2,
        ge=1,
        le=9_999,
        description="SF's number of the service (expressTypeId) of parcels for which rates have chosen none",
    )
    sfexpress_cargo: str = Field(
        default="商品", min_length=1, max_length=128, description="What SF Express is given as the name of the goods"
    )
    sfexpress_base: str = Field(
        default="https://bspgw.sf-express.com",
        pattern=rf"^{ISSUER}$",
        description="The base URL of SF Express; `https://sfapi-sbox.sf-express.com` is its sandbox",
    )
    kuaidi100_customer: str = Field(
        default="",
        max_length=64,
        description="The account at kuaidi100 (customer) for `oms-es callbacks poll` and `subscribe`",
    )
    kuaidi100_key: SecretStr | None = Field(
        default=None, description="The key of this account, with which requests are signed"
    )
    kuaidi100_salt: SecretStr | None = Field(
        default=None,
        min_length=8,
        max_length=64,
        description="The secret with which kuaidi100 signs its pushes: that of the connection that receives them",
    )
    kuaidi100_callback_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="The public URL for its pushes, as OMS_WECHATPAY_NOTIFY_URL",
    )
    kuaidi100_base: str = Field(
        default="https://poll.kuaidi100.com",
        pattern=rf"^{ISSUER}$",
        description="The base URL of kuaidi100, which a test may replace",
    )
