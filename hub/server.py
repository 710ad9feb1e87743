"""The hub: BioThings' server, with the features that are needed, our sources, and our API in front of it."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import orjson
import tornado.httpserver
from biothings.hub import HubServer, config
from biothings.hub.api.handlers.base import GenericHandler
from biothings.hub.dataload.source import SourceManager
from biothings.utils.loggers import WSLogHandler
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import Retention
from hub.api.guard import Guard, GuardedApplication
from hub.api.handlers import ActionHandler, IndexHandler, StatusHandler, StyleHandler
from hub.api.releases import DiffHandler, ReleasesHandler
from hub.books import open_books
from hub.dataload.intake import Intake
from hub.dataload.source_classes import SourceClasses, SourceFault, find_source_classes, manifest_states
from hub.housekeeping import tidy_logs_daily
from hub.jobs import FleetJobManager, listening_sockets
from hub.keeper import Keeper
from hub.settings import HubSettings
from hub.status import complete_status, status_of_fault, status_of_files

logger = logging.getLogger(__name__)

FEATURES = ["config", "job", "dump", "upload", "source", "ws"]
# The SDK's endpoints that only tell something. The others change the configuration, read and write files that the request
# names, or import them; our own endpoints do what is needed.
ENDPOINTS = {"status", "sources", "source", "job_manager", "dump_manager", "upload_manager"}
_MAX_BODY_BYTES = 64 * 1024
# Dumps run in threads: more of them than workers, so that a long one doesn't hold up the others.
_THREADS = 8


class _NoOverrides:
    """In place of the database that the SDK looks into for each value of its configuration, in the event loop: when the
    database is away, that holds up the hub for a quarter of an hour. Settings come from the environment alone.
    """

    def find_one(self, *_: object) -> None:
        return None

    def find(self, *_: object) -> list[dict[str, Any]]:
        return []

    def count(self) -> int:
        return 0


vars(config).update(_db=_NoOverrides(), _get_db_function=_NoOverrides)


class FleetHubServer(HubServer):
    """``sources``, ``faults``: the sources that can be served, and those that can't, as their manifests are now."""

    def __init__(self, settings: HubSettings) -> None:
        super().__init__(source_list=[], features=FEATURES, name="Crawler Fleet")
        self.logger = logging.getLogger(config.LOGGER_NAME)
        self.settings = settings
        # Both in one: a status that is made while manifests are read sees the lists of one reading.
        self._found: tuple[list[SourceClasses], list[SourceFault]] = ([], [])
        self._manifests: tuple[tuple[str, int, int, int], ...] | None = None
        self._read_manifests()  # now: worker processes, which inherit where to look for packages, start soon
        self.intake: Intake
        self.keeper: Keeper
        self._intake_task: asyncio.Task[None] | None = None
        self._tidy_task: asyncio.Task[None] | None = None

    def configure_job_manager(self) -> None:
        loop = asyncio.get_event_loop()
        self.managers["job_manager"] = FleetJobManager(loop, num_workers=config.HUB_MAX_WORKERS, num_threads=_THREADS)

    def configure_source_manager(self) -> None:
        dumps, uploads = self.managers["dump_manager"], self.managers["upload_manager"]
        # Its only use of data plugins is to ask which are registered: none.
        no_plugins = SimpleNamespace(register={})
        self.managers["source_manager"] = SourceManager([], dumps, uploads, no_plugins)
        self._register()

    @property
    def sources(self) -> list[SourceClasses]:
        return self._found[0]

    @property
    def faults(self) -> list[SourceFault]:
        return self._found[1]

    def find_sources(self) -> list[str]:
        """The names of the sources that can be served. If manifests came, went or changed since, they are read anew."""
        if manifest_states(self.settings.runtime.sources_dir) != self._manifests:
            try:
                self._read_manifests()
                self._register()
            except UsageError as error:
                logger.error("%s. The hub goes on with the sources that it knows.", error)
        return [classes.source.name for classes in self.sources]

    def _read_manifests(self) -> None:
        settings = self.settings
        self._manifests = manifest_states(settings.runtime.sources_dir)
        self._found = find_source_classes(settings.runtime.sources_dir, settings.hub_sources_dir)
        for fault in self.faults:
            logger.error("the source %s is left out: %s", fault.name, fault.reason)

    def _register(self) -> None:
        dumps, uploads = self.managers["dump_manager"], self.managers["upload_manager"]
        for classes in self.sources:
            name = classes.source.name
            if name not in dumps.register:
                dumps.register_classes([classes.dumper])
                uploads.register_classes([classes.uploader])
                dumps.dump_src(name, skip_manual=True, schedule=True)
                logger.info("the source %s is served", name)

    def configure_api_endpoints(self) -> None:
        super().configure_api_endpoints()
        for name in set(self.api_endpoints) - ENDPOINTS:
            del self.api_endpoints[name]
        self.api_endpoints["source"] = [end for end in self.api_endpoints["source"] if end["name"] == "source_info"]

    def configure_ws_feature(self) -> None:
        super().configure_ws_feature()
        # The websocket tells of changes in the hub's books. The log doesn't go there: it is not for whoever may look at sources,
        # and the SDK switches all logging off for each line that it sends.
        self.ws_listeners.remove(self.log_listener)
        root = logging.getLogger()
        for handler in [it for it in root.handlers if isinstance(it, WSLogHandler)]:
            root.removeHandler(handler)
        self.db_listener.socket = SimpleNamespace(publish=lambda event: None)  # until the first client connects

    def start_web_api_server(self) -> None:
        own = {"server": self}
        # The SDK adds routes of its own to those of the endpoints, which read any file of this machine: only these pass.
        sdk = [route for route in self.routes if _is_wanted(_handler(route))]
        routes = [
            (r"/", IndexHandler, own),
            (r"/style\.css", StyleHandler, own),
            (r"/fleet/status", StatusHandler, own),
            (r"/fleet/sources/([^/]+)/(dump|upload|rollback|pin|unpin|clean)", ActionHandler, own),
            (r"/fleet/sources/([^/]+)/releases", ReleasesHandler, own),
            (r"/fleet/sources/([^/]+)/diff", DiffHandler, own),
            *sdk,
        ]
        self.route_patterns = [_pattern(route) for route in routes]
        server = tornado.httpserver.HTTPServer(
            GuardedApplication(routes, Guard(self.settings)),
            max_body_size=_MAX_BODY_BYTES,
            max_header_size=_MAX_BODY_BYTES,
        )
        try:
            server.listen(self.settings.port, address=self.settings.host)
        except OSError as error:
            raise UsageError(
                f"the hub can't listen on {self.settings.host}:{self.settings.port}: {error}. Set FLEET_HUB_PORT to a free "
                "port, or FLEET_HUB_HOST to an address of this machine."
            ) from error
        listening_sockets.extend(server._sockets.values())

    def before_start(self) -> None:
        jobs = self.managers["job_manager"]
        actions = {"dump": self._dump, "upload": self._upload, "compare": lambda name: self.keeper.compare(name)}
        self.intake = Intake(self.settings, self.find_sources, open_books(), actions)
        self.keeper = Keeper(self.settings, open_books(), self.intake, jobs, self._find_retention)
        self._intake_task = jobs.loop.create_task(self.intake.run())
        self._tidy_task = jobs.loop.create_task(tidy_logs_daily(self.settings))
        logger.info("the hub listens on %s", self.settings.url)

    def stop(self) -> None:
        """End everything that the hub started. Called once its loop has stopped."""
        jobs: FleetJobManager = self.managers["job_manager"]
        jobs.stop_workers()
        for task in filter(None, (self._intake_task, self._tidy_task)):
            task.cancel()
            jobs.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))

    def status(self) -> bytes:
        """The status of all sources, as JSON."""
        books = open_books()
        sources, faults = self._found
        entries = books.find_all()
        live = books.live.find_all()
        found = [
            complete_status(
                self.settings,
                status_of_files(self.settings, manifest),
                live.get(manifest.name),
                entries.get(manifest.name, {}),
                self.intake.under_way(manifest.name),
            )
            for manifest in (classes.source.manifest for classes in sources)
        ]
        found += [status_of_fault(fault.name, fault.reason) for fault in faults]
        return orjson.dumps(sorted(found, key=lambda status: status["name"]))

    def _find_retention(self, name: str) -> Retention:
        manifests = [classes.source.manifest for classes in self.sources if classes.source.name == name]
        return manifests[0].archive if manifests else Retention()

    async def _dump(self, name: str) -> dict[str, Any]:
        (archived,) = await asyncio.gather(*self.managers["dump_manager"].dump_src(name))
        if archived is None:
            return {"outcome": "nothing to do"}
        return {"release": archived.release.text}

    async def _upload(self, name: str, force: bool = False) -> dict[str, Any]:
        # Not create_instance: it asks the database for its address, and holds up the hub where that is away.
        uploader = self.managers["upload_manager"][name][0].create(db_conn_info=None)
        live = await uploader.load(force=force, job_manager=self.managers["job_manager"])
        if live is None:
            return {"outcome": "nothing to do"}
        try:
            await self.keeper.sweep(name)
        except (
            OSError,
            PyMongoError,
            FleetError,
        ) as error:  # the upload is done all the same; it is tried again after the next
            logger.warning("%s: old releases were not removed from the archive: %s", name, error)
        return {"release": live.release, "documents": live.documents, "rejects": live.rejects}


def _is_wanted(handler: type) -> bool:
    """Whether it serves one of the endpoints, or the websocket; not as a script, which any page on the web could load."""
    module = handler.__module__
    if module.endswith((".jsonp", ".htmlfile")):
        return False
    return issubclass(handler, GenericHandler) or module.startswith("sockjs.tornado.")


def _handler(route: Any) -> type:
    return route[1] if isinstance(route, tuple) else route.handler_class


def _pattern(route: Any) -> str:
    return route[0] if isinstance(route, tuple) else route.matcher.regex.pattern
