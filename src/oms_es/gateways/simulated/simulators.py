"""A payment provider and a carrier to try the engine with, each with a state of its own.

Invariant: an effect happens once per idempotency key, whatever is answered; every failure is drawn from the seed and
the key, so that a run can be repeated. Effects and queued callbacks survive a crash of the engine, as they would at a
real provider: their tables are written in transactions of their own.
"""

from __future__ import annotations
