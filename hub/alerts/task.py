"""Alerts as a task of the running hub."""

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from hub.alerts.configuration import AlertSettings
from hub.alerts.findings import Look, look
from hub.alerts.watch import AlertWatch
from hub.books import open_books

if TYPE_CHECKING:
    from hub.server import FleetHubServer

_DATABASE_SECONDS = 5.0


def make_watch(server: "FleetHubServer") -> AlertWatch | None:
    """The watch of ``server``, and its metrics; None where there is no file of settings.

    :raises UsageError: that file can't be used.
    """
    settings = server.settings
    if settings.alerts_file is None:
        return None

    def take_look(alerts: AlertSettings) -> Look:
        manifests = [classes.source.manifest for classes in server.sources]
        faults = {fault.name: fault.reason for fault in server.faults}
        return look(settings, alerts, manifests, faults, _read_steps)

    sent = Counter(
        "fleet_alert_messages_total",
        "Tries to send a message.",
        ["channel", "outcome"],
        registry=server.metrics.registry,
    )
    watch = AlertWatch(settings.alerts_file, settings.alerts_dir, take_look, lambda *told: sent.labels(*told).inc())
    watch.read()
    _measure(watch, server.metrics.registry)
    for channel in watch.settings.channels:
        for outcome in ("sent", "failed"):
            sent.labels(channel.name, outcome)
    return watch


def _read_steps() -> dict[str, dict[str, Any]]:
    return open_books().read_all(_DATABASE_SECONDS)[1]


def _measure(watch: AlertWatch, registry: CollectorRegistry) -> None:
    incidents = Gauge("fleet_alert_incidents", "Things that are bad, as was told.", registry=registry)
    incidents.set_function(lambda: len(watch.memory.incidents))
    waiting = Gauge("fleet_alert_pending_messages", "Messages that wait to be sent.", registry=registry)
    waiting.set_function(lambda: len(watch.memory.outbox))
