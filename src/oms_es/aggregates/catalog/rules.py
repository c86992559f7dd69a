"""The versions of the sourcing rules.

Invariant: the content of a version never changes, and the version published last is in force; `versions` has the rules.
"""

from __future__ import annotations

from oms_es.aggregates.catalog.versions import versioned
from oms_es.schemas.catalog.rules import BUILT_IN_VERSION, PublishSourcingRules, SourcingRules, SourcingRulesPublished

decider = versioned("rules", (BUILT_IN_VERSION, SourcingRules()), PublishSourcingRules, SourcingRulesPublished)
