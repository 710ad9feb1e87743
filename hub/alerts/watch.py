"""The task of the hub that looks at everything now and then, and tells people."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.json_files import read_json, write_json
from crawlers.runtime.temporary import remove_abandoned
from hub.alerts.channels import ChannelSender, make_senders
from hub.alerts.configuration import AlertSettings, read_alert_settings
from hub.alerts.findings import Look
from hub.alerts.incidents import Memory, Message, advance, is_digest_due
from hub.alerts.messages import describe_all, describe_changes

logger = logging.getLogger(__name__)

MEMORY = "memory.json"
_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=10), timedelta(hours=1)
_KEPT = timedelta(days=7)
# In all: more can't be of use to anybody.
_MAX_WAITING = 100

TakeLook = Callable[[AlertSettings], Look]
Report = Callable[[str, str], None]


class AlertWatch:
    """``path``: the file of settings, read again when it changes; ``folder``: where the memory is kept.

    ``look`` looks at everything; ``report`` is told of each try to send: the channel, and ``sent`` or ``failed``.
    """

    def __init__(
        self, path: Path, folder: Path, look: TakeLook, report: Report = lambda channel, outcome: None
    ) -> None:
        self._path = path
        self._folder = folder
        self._look = look
        self._report = report
        self._state: tuple[int, int, int] | None = None
        self.settings = AlertSettings()
        self._senders: dict[str, ChannelSender] = {}
        self.memory = read_memory(folder)
        with suppress(OSError):  # said when it is to be written
            folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)

    def read(self) -> None:
        """Read the file of settings, if it has changed.

        :raises UsageError: it can't be used; what was read before stays.
        """
        try:
            status = self._path.stat()
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise UsageError(f"FLEET_ALERTS_FILE is {str(self._path)!r}, which can't be read: {error}") from error
        if state == self._state:
            return
        self._state = state  # also of one that is wrong: that is said once
        settings = read_alert_settings(self._path)
        self._senders = make_senders(settings, self._path.parent)
        self.settings = settings

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._look_again)
            except Exception:  # a fault of ours must not silence all that comes after it
                logger.exception("alerts: a look failed, the next one is in %s s", self.settings.look_seconds)
            await asyncio.sleep(self.settings.look_seconds)

    def _look_again(self) -> None:
        try:
            self.read()
        except UsageError as error:
            logger.error("%s. Alerts go on with what was read before.", error)
        self.look_and_tell(datetime.now(UTC))

    def look_and_tell(self, now: datetime) -> None:
        """One look, and all that is to be sent now."""
        seen, memory = self._look(self.settings), self.memory
        before = memory.digest
        memory.outbox += describe_changes(advance(memory, seen.findings, self.settings, now), self.settings, now)
        if is_digest_due(memory, self.settings.digest, now):
            memory.outbox += describe_all(seen.standings, memory.incidents, self.settings, before, now)
        self._clear(now)
        self._save()
        for sender in self._senders.values():
            self._deliver(sender, now)

    def _deliver(self, sender: ChannelSender, now: datetime) -> None:
        """Send what waits for the channel, in its order, up to the first that fails: a later one would be understood wrongly."""
        for message in [it for it in self.memory.outbox if it.channel == sender.name]:
            if message.next_try and message.next_try > now:
                return
            reason = sender.send(message)
            self._report(sender.name, "failed" if reason else "sent")
            if reason:
                pause = min(_FIRST_RETRY * 2 ** min(message.tries, 20), _LAST_RETRY)
                message.tries += 1
                message.next_try = now + pause
                logger.warning("%r could not be sent to %s: %s", message.title, sender.name, reason)
            else:
                self.memory.outbox.remove(message)
                logger.info("%r was sent to %s", message.title, sender.name)
            self._save()
            if reason:
                return

    def _clear(self, now: datetime) -> None:
        """Give up messages that nobody can take any more."""
        kept: list[Message] = []
        waiting = dict.fromkeys(self._senders, 0)
        most = _MAX_WAITING // max(len(waiting), 1)
        for message in reversed(self.memory.outbox):
            known = message.channel in waiting
            if known and now - message.made < _KEPT and waiting[message.channel] < most:
                waiting[message.channel] += 1
                kept.append(message)
            else:
                logger.error("%r was never sent to %s, and is given up", message.title, message.channel)
        self.memory.outbox = kept[::-1]

    def _save(self) -> None:
        try:
            write_json(self._folder, MEMORY, self.memory)
        except OSError as error:  # told all the same; perhaps once more after a restart
            logger.warning("%s can't be written: %s", self._folder / MEMORY, error)


def read_memory(folder: Path) -> Memory:
    """What is remembered in ``folder``; where that can't be read, it is begun anew, and what is bad is told once more."""
    try:
        return read_json(folder / MEMORY, Memory, "It is what alerts remember.") or Memory()
    except FleetError as error:
        logger.warning("%s It is begun anew.", error)
        return Memory()
