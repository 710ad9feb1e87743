"""Drift: how the coverage of each field, and the number of records, changed against the releases before."""

from statistics import median

import msgspec

from crawlers.runtime.run_entry import RunEntry

# Runs that made a release, whatever became of it; one that a person discarded is no measure for later ones.
_MADE = ("published", "unchanged", "held")


class FieldDrift(msgspec.Struct, kw_only=True):
    """Coverage of a field: ``share`` (0 to 1) in the newest release; ``before``, the median of those it is compared with;
    ``points``: the change in hundredths.
    """

    field: str
    share: float
    before: float
    points: float


class Drift(msgspec.Struct, kw_only=True):
    """The newest release of a source (``release``, which may be held) against ``compared`` releases before it.

    ``records`` and ``records_before`` (their median); ``fields``: those whose coverage changed, the largest loss first.
    """

    release: str
    outcome: str
    compared: list[str]
    records: int
    records_before: float
    fields: list[FieldDrift]


def drift(runs: list[RunEntry], last: int) -> Drift | None:
    """The drift of the newest release in ``runs`` (oldest first) against the ``last`` ones before; None without two to compare."""
    discarded = {run.release for run in runs if run.outcome == "discarded"}
    made = [run for run in runs if run.outcome in _MADE]
    if not made:
        return None
    newest = made[-1]
    before = [run for run in made[:-1] if run.release not in discarded and run.coverage][-last:]
    if not before:
        return None
    fields = []
    for name in {name for run in (newest, *before) for name in run.coverage}:
        share = newest.coverage.get(name, 0.0)
        usual = median(run.coverage.get(name, 0.0) for run in before)
        points = round(100 * (share - usual), 2)
        if points:
            fields.append(FieldDrift(field=name, share=share, before=round(usual, 4), points=points))
    return Drift(
        release=newest.release,
        outcome=newest.outcome,
        compared=[run.release for run in before],
        records=newest.counts.records,
        records_before=median(run.counts.records for run in before),
        fields=sorted(fields, key=lambda field: (field.points, field.field)),
    )
