"""The chart of accounts. Names are `type:account`, or `type:account:part` for an account per method or per account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

RECEIVABLE = "assets:receivable"
CLEARING = "assets:clearing"
UNRECONCILED = "assets:unreconciled"
STATEMENTS = "assets:statements"
IN_TRANSIT = "assets:in-transit"
DISPUTED = "assets:disputed"
ACCOUNT_FUNDS = "assets:account-funds"
ADVANCES = "liabilities:advances"
CUSTOMER_ACCOUNTS = "liabilities:customer-accounts"
DEFERRED = "liabilities:deferred-revenue"
DEPOSITS = "liabilities:deposits"
REFUNDS_DUE = "liabilities:refunds-due"
STORE_CREDIT = "liabilities:store-credit"
TAX = "liabilities:tax"
BREAKAGE = "income:breakage"
FORFEITED = "income:forfeited-deposits"
REFUNDS = "income:refunds"
SALES = "income:sales"
SHIPPING = "income:shipping"
DIFFERENCES = "expenses:differences"
DISPUTES_LOST = "expenses:disputes-lost"
FEES = "expenses:fees"
WRITE_OFF = "expenses:write-off"

MEANING: Mapping[str, str] = {
    RECEIVABLE: "what customers owe for parcels that were released",
    CLEARING: "per method: captured and not yet found on a statement",
    UNRECONCILED: "per account: lines of its statements that are in no match",
    STATEMENTS: "per account: what its statements say was booked",
    IN_TRANSIT: "per account: paid out by a provider and not yet found at a bank",
    DISPUTED: "withdrawn by a dispute that is not decided",
    ACCOUNT_FUNDS: "per method: paid in to accounts of customers by hand, less what was paid out of them",
    ADVANCES: "paid by customers before any parcel of it was released",
    CUSTOMER_ACCOUNTS: "per kind: what is on the accounts of customers, held or not",
    DEFERRED: "worth of parcels that were released and have not left",
    DEPOSITS: "deposits that were taken and not applied",
    REFUNDS_DUE: "refunds that were granted and not yet paid out",
    STORE_CREDIT: "granted for exchanges and not used",
    TAX: "tax on top of goods that have left, less that of refunds; the tax of shipping is in income:shipping",
    BREAKAGE: "left on gift cards when they expired",
    FORFEITED: "deposits that were kept, and what was kept of holds on accounts",
    REFUNDS: "given back, without its tax",
    SALES: "goods that have left, without tax",
    SHIPPING: "shipping of parcels that have left, with its tax",
    DIFFERENCES: "the rest of a match whose sides do not sum to the same",
    DISPUTES_LOST: "disputes that were lost",
    FEES: "what banks and providers withheld",
    WRITE_OFF: "not charged by a decision of a person, and breaks that were written off",
}
"""The meaning of each account's balance: debit for assets and expenses, credit for liabilities and income."""
PLAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
SLUG_LENGTH_MAX = 24
PARTS_MAX = 3


def part_of(name: str) -> str:
    """Return the last part of an account's name: the name itself if every bookkeeping program accepts it, otherwise
    a unique one made of it.
    """
    if PLAIN.fullmatch(name):
        return name
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:SLUG_LENGTH_MAX]
    return f"{slug or 'x'}-{sha256(name.encode()).hexdigest()[:12]}"


def sub(account: str, name: str) -> str:
    return f"{account}:{part_of(name)}"


def has(name: str) -> bool:
    """Return whether the name is one of the chart: a type of accounts, an account, or a part of one."""
    parts = name.split(":")
    if len(parts) == 1:
        return any(one.startswith(f"{name}:") for one in MEANING)
    return group_of(name) in MEANING and len(parts) <= PARTS_MAX and all(PLAIN.fullmatch(part) for part in parts)


def group_of(account: str) -> str:
    """Return the account of the chart that this account is, or is a part of."""
    return ":".join(account.split(":")[:2])
