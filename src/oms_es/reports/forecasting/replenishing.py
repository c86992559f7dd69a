"""From a forecast to reorder points: how low stock may fall before more is asked for, with the arithmetic.

The reorder point is the count that demand within one lead time does not exceed in the share of cases given by the
service level; safety stock is its part above the mean. Lead times vary, too, which is part of the variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pvariance
from typing import Any, NamedTuple

from oms_es.reports.forecasting.counts import quantile
from oms_es.reports.forecasting.forecast import DECIMALS, Forecast

LEAD_TIMES_MIN = 3
"""How many received inbounds are needed to estimate a lead time."""
WEEK_DAYS = 7
CLASS_SHARES: Mapping[str, float] = {"A": 0.8, "B": 0.95, "C": 1.0}
"""The shares of the total demand up to which SKUs are in a class, from those with the most demand on."""


class LeadTime(NamedTuple):
    """A lead time in days.

    `times` is the number of inbounds that it was learnt from, 0 if a person stated it. `whose` names their source: the
    SKU or the location.
    """

    days: float
    variance: float
    times: int
    whose: str


class Proposal(NamedTuple):
    """A proposed reorder point.

    `of_demand` and `of_lead_time` are the parts of the variance of demand within one lead time.
    """

    sku: str
    location: str
    abc: str
    service_percent: float
    per_week: float
    lead: LeadTime
    mean: float
    of_demand: float
    of_lead_time: float
    safety_stock: int
    reorder_point: int
    up_to: int
    reorder_point_now: int

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "lead": self.lead._asdict(), "arithmetic": self.arithmetic}

    @property
    def arithmetic(self) -> str:
        """The arithmetic in words, for the person who is to approve it."""
        lead = self.lead
        return (
            f"{self.per_week:.2f} a week × {lead.days:.1f} days / 7 = {self.mean:.2f} within a lead time; variance "
            f"{self.of_demand:.2f} of demand + {self.of_lead_time:.2f} of lead times; {self.service_percent:g} % of "
            f"cases need at most {self.reorder_point}, of which {self.safety_stock} are safety stock"
        )


def learnt(of_sku: Sequence[float], of_location: Sequence[float], said_days: float | None) -> LeadTime | None:
    """Return the stated lead time, or one learnt from the SKU's inbounds there, or from all inbounds there.

    None if there are too few.
    """
    if said_days is not None:
        return LeadTime(said_days, 0.0, 0, "said")
    for whose, days in (("SKU", of_sku), ("location", of_location)):
        if len(days) >= LEAD_TIMES_MIN:
            return LeadTime(round(fmean(days), DECIMALS), round(pvariance(days), DECIMALS), len(days), whose)
    return None


def classes(units: Mapping[str, float]) -> dict[str, str]:
    """Return by SKU its class A, B or C, by the share of the total demand that it and those with more demand have."""
    whole, so_far = sum(units.values()), 0.0
    found = {}
    for sku, wanted in sorted(units.items(), key=lambda pair: (-pair[1], pair[0])):
        found[sku] = next(name for name, share in CLASS_SHARES.items() if so_far < share * whole or share == 1)
        so_far += wanted
    return found


def proposal(
    sku: str,
    location: str,
    said: Forecast,
    lead: LeadTime,
    *,
    abc: str,
    service_percent: float,
    cover_weeks: float,
    now: int,
) -> Proposal:
    """Return the proposal. `said` is a forecast by week; `now` is the current reorder point."""
    per_week = sum(one.expected for one in said.periods) / len(said.periods)
    weeks = lead.days / WEEK_DAYS
    mean = per_week * weeks
    of_demand = said.spread.of_sum(mean, weeks)
    of_lead_time = per_week * per_week * lead.variance / WEEK_DAYS**2
    point = quantile(mean, of_demand + of_lead_time, service_percent / 100)
    return Proposal(
        sku,
        location,
        abc,
        service_percent,
        round(per_week, DECIMALS),
        lead,
        round(mean, DECIMALS),
        round(of_demand, DECIMALS),
        round(of_lead_time, DECIMALS),
        max(point - round(mean), 0),
        point,
        point + max(round(per_week * cover_weeks), 1),
        now,
    )
