"""The words of messages. What sites said may be in them: it is made safe to be read, and cut."""

import re
from collections import Counter
from datetime import datetime

from crawlers.runtime.release import format_release
from crawlers.runtime.standing import ATTENTION, Standing
from crawlers.runtime.terminal import safe
from hub.alerts.configuration import AlertSettings
from hub.alerts.incidents import Change, Finding, Message

# A message is read on a telephone, too.
_MAX_LINES = 40
_MAX_CHARACTERS = 400
_NAMED = 3
# What chats take for a call to people: @everyone, <!channel>, <@U123>.
_CALL = re.compile(r"(@|<!)(?=\w)")


def describe_changes(changes: list[Change], settings: AlertSettings, now: datetime) -> list[Message]:
    """Messages for every channel that receives alerts: one for all that turned bad, one for all that got well, and so on."""
    messages = []
    for kind in ("bad", "flapping", "steady", "well"):
        found = [change.finding for change in changes if change.kind == kind]
        if not found:
            continue
        title = _title(kind, found)
        body = _lines([_line(kind, finding, settings) for finding in found])
        for channel in settings.receiving("alerts"):
            messages.append(Message(channel=channel, kind=kind, title=title, body=body, made=now))
    return messages


def describe_all(
    standings: list[Standing], incidents: list[Finding], settings: AlertSettings, since: datetime | None, now: datetime
) -> list[Message]:
    """The digest, for every channel that receives it. ``since``: the moment of the one before."""
    counts = Counter(standing.state for standing in standings)
    states = ", ".join(f"{counts[state]} {state}" for state in ATTENTION if counts[state])
    lines = [f"{len(standings)} sources: {states or 'none'}."]
    if since:
        new = [it for it in standings if it.released and datetime.fromisoformat(it.released) > since]
        records = sum(standing.records or 0 for standing in standings)
        lines.append(
            f"Since {format_release(since)}, {len(new)} of them published a release. {records:,} records are published in all."
        )
    lines += ["", "All is well."] if not incidents else ["", "Needs attention:"]
    lines += [f"- {_line('bad', finding, settings)}" for finding in incidents]
    title = f"Crawler Fleet: {_number(len(incidents))} attention" if incidents else "Crawler Fleet: all is well"
    body = _lines(lines)
    return [
        Message(channel=channel, kind="digest", title=title, body=body, made=now)
        for channel in settings.receiving("digest")
    ]


def describe_test(channel: str, now: datetime) -> Message:
    """What `fleet alert --test` sends."""
    body = "This is a test by `fleet alert --test`. Whoever reads it will be told when a source of the fleet turns bad."
    return Message(channel=channel, kind="test", title="Crawler Fleet: test", body=body, made=now)


def _title(kind: str, found: list[Finding]) -> str:
    if len(found) == 1:
        return f"Crawler Fleet: {found[0].thing} is {_word(kind, found[0])}"
    words = {"bad": "turned bad", "well": "are well again", "flapping": "are flapping", "steady": "are steady again"}
    named = ", ".join(finding.thing for finding in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"Crawler Fleet: {len(found)} {words[kind]}: {named}{more}"


def _word(kind: str, finding: Finding) -> str:
    if kind == "steady":
        return f"still {finding.state}" if finding.bad else "well, and stays so"
    return {"flapping": "flapping", "well": "well again"}.get(kind, finding.state)


def _line(kind: str, finding: Finding, settings: AlertSettings) -> str:
    flapping = settings.flapping
    why = f": {finding.reason}" if finding.reason else ""
    since = f" since {finding.since}" if finding.since else ""
    state = f": {finding.state}" if kind in ("well", "steady") and not finding.bad else ""
    line = f"{finding.thing} is {_word(kind, finding)}{state}{since}{why}"
    if kind == "flapping":
        line = (
            f"{finding.thing} turned bad or well again more than {flapping.changes} times within {flapping.within_hours:g} hours; now "
            f"it is {finding.state}{since}{why}. You are told again once it has stayed as it is for {flapping.quiet_hours:g} hours"
        )
    line = _CALL.sub(r"\1 ", safe(line))
    line = line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]} …"
    what, _, name = finding.thing.rpartition(" ")
    return (
        f"{line} {settings.link.rstrip('/')}/sources/{name}"
        if settings.link and what in ("source", "release of")
        else line
    )


def _lines(lines: list[str]) -> str:
    more = [f"… and {len(lines) - _MAX_LINES} more"] if len(lines) > _MAX_LINES else []
    return "\n".join(lines[:_MAX_LINES] + more)


def _number(count: int) -> str:
    return "one thing needs" if count == 1 else f"{count} things need"
