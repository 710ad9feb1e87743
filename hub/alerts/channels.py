"""Sending, by Apprise: it knows some hundred services, each by a URL."""

import logging
from dataclasses import dataclass
from pathlib import Path

import apprise

from crawlers.runtime.errors import UsageError
from hub.alerts.configuration import AlertSettings, find_url
from hub.alerts.incidents import Message

# What Apprise says of a try is in the reason that is given: not in the log once more.
logging.getLogger(apprise.LOGGER_NAME).propagate = False

_TYPES = {
    "bad": apprise.NotifyType.FAILURE,
    "flapping": apprise.NotifyType.WARNING,
    "steady": apprise.NotifyType.WARNING,
    "well": apprise.NotifyType.SUCCESS,
}


@dataclass(frozen=True)
class ChannelSender:
    """Sends to one channel."""

    name: str
    _service: apprise.Apprise

    def send(self, message: Message) -> str:
        """Send ``message``, and wait for that, some seconds at most: empty if it was taken, else why not, in words."""
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as told:
            try:
                taken = self._service.notify(
                    body=message.body,
                    title=message.title,
                    notify_type=_TYPES.get(message.kind, apprise.NotifyType.INFO),
                    body_format=apprise.NotifyFormat.TEXT,
                )
            except Exception as error:  # whatever the code of a service raises; the others, and the hub, go on
                return f"{type(error).__name__}: {error}"
            said = " ".join(told.getvalue().split())
        return "" if taken else said or "the service gave no reason"


def make_senders(settings: AlertSettings, folder: Path) -> dict[str, ChannelSender]:
    """A sender for each channel, by its name. ``folder``: where the file lies that describes them.

    :raises UsageError: a URL is missing, or no service of Apprise knows it.
    """
    asset = apprise.AppriseAsset(app_id="Crawler Fleet", app_desc="Crawler Fleet", secure_logging=True)
    senders = {}
    for channel in settings.channels:
        service = apprise.Apprise(asset=asset)
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s"):  # it could tell the URL, which is a secret
            known = service.add(find_url(channel, folder))
        if not known:
            raise UsageError(
                f"the channel {channel.name!r} of {folder} has a URL that no service of Apprise knows, or that lacks something: "
                "see https://appriseit.com/services/ for its form"
            )
        senders[channel.name] = ChannelSender(channel.name, service)
    return senders
