"""Logging: what an event is, and how it is written, a line each.

An event is a dict: ``at`` (ISO 8601 in UTC), ``level``, ``logger``, ``source`` and ``run`` (empty where it belongs to none), ``message``,
and, of an error that was caught, ``trace``, its stack.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO

from crawlers.runtime.errors import UsageError
from crawlers.runtime.masking import mask

FORMATS = ("text", "json")
# Of a message, and of a stack. What is longer loses its middle.
MAX_CHARACTERS = 16_000
_BREAK = " ⏎ "


class Context:
    """What the events of this process belong to, from the start of a crawl on: a process has one."""

    source = ""
    run = ""


context = Context()


def describe(record: logging.LogRecord) -> dict[str, str]:
    """The record as an event, without secrets."""
    event = {
        "at": format_moment(record.created),
        "level": record.levelname,
        "logger": record.name,
        "source": context.source or _source_of(record),
        "run": context.run,
        "message": mask(_shorten(_message(record))),
    }
    if record.exc_info:
        trace = record.exc_text or logging.Formatter().formatException(record.exc_info)
        event["trace"] = mask(_shorten(trace))
    return event


def format_moment(seconds: float) -> str:
    """A Unix time as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_text(event: Mapping[str, str], *, one_line: bool = True) -> str:
    """An event for people, in one line; with ``one_line`` False a stack is written below it as it is."""
    of = "/".join(filter(None, (event.get("source"), event.get("run"))))
    text = f"{event['at']} {event['level']} {event['logger']}{f' [{of}]' if of else ''}: {event['message']}"
    if trace := event.get("trace"):
        text += f"\n{trace}"
    return _BREAK.join(line.strip() for line in text.splitlines()) if one_line else text


def as_json(event: Mapping[str, str]) -> str:
    """An event for programs."""
    return json.dumps({key: value for key, value in event.items() if value}, ensure_ascii=False)


class EventFormatter(logging.Formatter):
    """``form``: one of ``FORMATS``."""

    def __init__(self, form: str, *, one_line: bool = True) -> None:
        super().__init__()
        self._as_json = form == "json"
        self._one_line = one_line

    def format(self, record: logging.LogRecord) -> str:
        event = describe(record)
        return as_json(event) if self._as_json else as_text(event, one_line=self._one_line)


def log_format(environment: Mapping[str, str] = os.environ) -> str:
    """How the process logs: ``FLEET_LOG_FORMAT``.

    :raises UsageError: it is none that we know.
    """
    form = environment.get("FLEET_LOG_FORMAT", "").strip() or FORMATS[0]
    if form not in FORMATS:
        raise UsageError(f"FLEET_LOG_FORMAT is {form!r}: expected is {' or '.join(FORMATS)}")
    return form


def start_logging(*, verbose: bool = False, stream: IO[str] | None = None) -> None:
    """Have this process log to ``stream``, stderr by default: a line an event; stacks as they are where a person looks at a terminal.

    :raises UsageError: ``FLEET_LOG_FORMAT`` is none that we know.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EventFormatter(log_format(), one_line=not stream.isatty()))
    if not verbose:
        handler.addFilter(_is_for_everybody)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


def _is_for_everybody(record: logging.LogRecord) -> bool:
    """What Scrapy says of its own work is for those who look closer, in the run's log."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] != "scrapy"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # the library's mistake, which must not end a crawl
        return f"{record.msg!r} % {record.args!r}: {error}"


def _source_of(record: logging.LogRecord) -> str:
    """Messages about a source begin with its name: ``%s: …``."""
    args = record.args
    if isinstance(record.msg, str) and record.msg.startswith("%s: ") and isinstance(args, tuple) and args:
        return args[0] if isinstance(args[0], str) and args[0].replace("_", "").isalnum() else ""
    return ""


def _shorten(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    half = MAX_CHARACTERS // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"
