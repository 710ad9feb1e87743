"""The publish gate: whether what a crawl made is good enough to be published without a person's word."""

from crawlers.runtime.coverage import changes
from crawlers.runtime.errors import EmptyError, FleetError, PartialError
from crawlers.runtime.manifest import Manifest
from crawlers.runtime.release import Counts, Description
from crawlers.runtime.schema.profiles import PROFILES
from crawlers.runtime.tally import Tally

# How many examples a reason names.
_NAMED = 5
# Without these a record is of little use to anybody.
_BASIC = ("name", "description", "url")


def require_whole(manifest: Manifest, tally: Tally, counts: Counts, *, limited: bool = False) -> None:
    """Let a crawl pass that saw the whole source, well or not so well.

    :param limited: it was cut short by ``--limit``.
    :raises PartialError: it was cut short.
    :raises EmptyError: there is no record, and the manifest doesn't allow that.
    :raises FleetError: a start request failed.
    """
    name, errors = manifest.name, tally.describe_errors()
    if limited:
        raise PartialError(
            f"{name}: cut short by --limit, so this is no release: nothing was published. There are more records."
        )
    if tally.failed_starts:
        raise FleetError(
            f"{name}: the crawl could not start well: {', '.join(tally.failed_starts[:3])} failed. Nothing was published.{errors}"
        )
    if counts.records == 0 and not manifest.allow_empty:
        rejected = f" ({counts.rejected_items} were rejected: `fleet rejects {name}`)" if counts.rejected_items else ""
        raise EmptyError(
            f"{name}: no record was found on {tally.pages} pages{rejected}. Nothing was published. See whether the site has "
            f"changed (`fleet test {name}` shows what the code expects); a source that may be empty sets allow_empty = true.{errors}"
        )


def judge(manifest: Manifest, tally: Tally, new: Description, last: Description | None) -> list[str]:
    """Why the release ``new`` is to be held, in words; empty where it may be published.

    :param last: what is published now; None where nothing is, or a foreign crawler doesn't describe it.
    """
    counts = new.counts
    reasons = [
        _over(tally.failed_pages, tally.pages, "pages failed", "error_budget", manifest.error_budget),
        _over(counts.rejected_items, counts.items, "records were rejected", "reject_budget", manifest.reject_budget),
        _over(counts.duplicates, counts.items, "records are duplicates", "duplicate_budget", manifest.duplicate_budget),
    ]
    if last is not None:
        missing = last.records - new.records - new.counts.withdrawn  # those are explained, by the site itself
        if missing > manifest.shrink_budget * last.records:
            reasons.append(
                f"{new.records} records, {missing} fewer than the {last.records} of {last.release}; shrink_budget allows "
                f"{manifest.shrink_budget:.2%}"
            )
        reasons.append(_lost_coverage(manifest, new, last))
    return [reason for reason in reasons if reason]


def _over(bad: int, of: int, what: str, setting: str, budget: float) -> str:
    return f"{bad} of {of} {what}; {setting} allows {budget:.2%}" if bad > budget * of else ""


def required_fields(manifest: Manifest) -> set[str]:
    """The fields whose coverage must not fall: what the manifest requires, what its profile requires of any class, and the basic ones."""
    fields = {*_BASIC, *manifest.require}
    profile = PROFILES.get(manifest.profile)
    if profile:
        demands = [*profile.classes.values(), *([profile.others] if profile.others else [])]
        fields.update(*(ours for demand in demands for ours in demand.required.values()))
    return fields


def _lost_coverage(manifest: Manifest, new: Description, last: Description) -> str:
    # A release from before coverage was noted can't be compared with.
    points = changes(new.coverage, last.coverage) if last.coverage and new.records else {}
    lost = sorted(
        (points.get(name, 0.0), name)
        for name in required_fields(manifest)
        if -points.get(name, 0.0) > manifest.coverage_budget
    )
    if not lost:
        return ""
    named = ", ".join(
        f"{name} from {last.coverage.get(name, 0):.0%} to {new.coverage.get(name, 0):.0%}" for _, name in lost[:_NAMED]
    )
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return f"fewer records have {named}{more}; coverage_budget allows {manifest.coverage_budget:g} points less"
