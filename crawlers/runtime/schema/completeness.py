"""How complete a record is, as the NIAID Data Ecosystem counts it: how many of its required and recommended fields are there.

Its hub stores these under ``_meta`` (nde-crawlers, ``biothings-hub/files/nde-hub/utils``), and its search weighs the two ratios
3 to 1 (nde-discovery-api, the query's ``function_score``): that is ``weighted_score``. What its hub says of fields that it added
itself is left out, since a crawler adds none.
"""

from collections.abc import Set
from typing import Any

from crawlers.runtime.schema.profiles import NDE

REQUIRED_WEIGHT = 0.75


def completeness(record_class: str, filled: Set[str]) -> dict[str, Any]:
    """``_meta.completeness`` of a record of that class; ``filled``: the names of its fields that hold something."""
    demands = NDE.classes.get(record_class) or NDE.others
    assert demands is not None
    required = len(demands.required.keys() & filled)
    recommended = len(demands.recommended.keys() & filled)
    required_ratio = required / len(demands.required)
    recommended_ratio = recommended / len(demands.recommended)
    return {
        "required_score": required,
        "required_max_score": len(demands.required),
        "required_ratio": round(required_ratio, 2),
        "recommended_score": recommended,
        "recommended_max_score": len(demands.recommended),
        "recommended_score_ratio": round(recommended_ratio, 2),
        "total_score": required + recommended,
        "total_max_score": len(demands.required) + len(demands.recommended),
        "weighted_score": round(REQUIRED_WEIGHT * required_ratio + (1 - REQUIRED_WEIGHT) * recommended_ratio, 4),
    }
