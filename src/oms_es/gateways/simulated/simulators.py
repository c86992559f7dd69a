"""A payment provider and a carrier to try the engine with: outside worlds with a memory of their own.

Invariant: an effect happens once per idempotency key, whatever is answered; every failure is drawn from the seed and
the key, so that a run can be repeated. What they have done and will still report survives the engine being killed, as
it would at a real provider: their tables are written in transactions of their own.
"""

from __future__ import annotations
