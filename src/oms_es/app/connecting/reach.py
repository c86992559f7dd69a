"""Which roles can run: those that reach a system outside need a gateway to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus

from oms_es.app.workers import GROUPS_OF_ROLES
from oms_es.errors import OmsError
from oms_es.exit_codes import Code


class NoGateways(OmsError):
    """Only gateway roles were named, and no gateways are configured."""

    code = "no_gateways"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def roles_that_run(roles: Sequence[str], connected: Collection[str]) -> list[str]:
    """Return the roles without gateways that are not `connected`. Raise NoGateways if none is left."""
    out_of_reach = set(GROUPS_OF_ROLES["gateways"]).difference(connected)
    running = [role for role in roles if role not in out_of_reach]
    if not running:
        raise NoGateways(
            f"{', '.join(roles)} reach a payment provider, a carrier or a warehouse, and none is connected; "
            "OMS_PAYMENTS=stripe connects one; for trying things out, OMS_GATEWAYS=simulated runs simulators"
        )
    return running
