"""The hub: BioThings' server, with the features that are needed, our sources, and our API in front of it."""

import asyncio
import gc
import logging
from types import SimpleNamespace
from typing import Any

import orjson
from biothings.hub import HubServer, config
from biothings.hub.dataload.source import SourceManager
from biothings.utils.loggers import WSLogHandler
from pymongo.errors import PyMongoError

from crawlers.runtime.errors import FleetError, UsageError
from crawlers.runtime.manifest import Manifest, Retention
from hub.access.exposure import tls_context
from hub.access.guard import Guard, GuardedApplication
from hub.access.invitations import VALID_SECONDS
from hub.access.logins import Logins
from hub.alerts.task import make_watch
from hub.api.bounded import BoundedServer
from hub.api.routes import tornado_routes
from hub.api.sdk import TELLING, Commands, pattern_of, sdk_routes
from hub.books import open_books
from hub.dataload.intake import Intake
from hub.dataload.source_classes import SourceClasses, SourceFault, find_source_classes, manifest_states
from hub.diffs import Diffs
from hub.housekeeping import tidy_logs_daily
from hub.jobs import FleetJobManager, listening_sockets
from hub.keeper import Keeper
from hub.metrics.registry import Metrics
from hub.progress import clear_progress, progress_folder
from hub.settings import HubSettings
from hub.status import complete_status, status_of_fault, status_of_files
from hub.web.events import Events
from hub.web.notices import Notices
from hub.web.overview import Overviews
from hub.web.pages.refusal import RefusalHandler
from hub.web.routes import page_routes
from hub.worklist import Worklist

logger = logging.getLogger(__name__)

FEATURES = ["config", "job", "dump", "upload", "source"]
_MAX_BODY_BYTES = 64 * 1024
# How long a connection may wait for the next request, its headers included, and how long a body may take.
_IDLE_SECONDS, _BODY_SECONDS = 120.0, 60.0
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
        features = [*FEATURES, *(["terminal"] if settings.access.shell else []), "ws"]
        super().__init__(source_list=[], features=features, name="Crawler Fleet")
        self.logger = logging.getLogger(config.LOGGER_NAME)
        self.settings = settings
        self.logins = Logins(settings)
        # Both in one: a status that is made while manifests are read sees the lists of one reading.
        self._found: tuple[list[SourceClasses], list[SourceFault]] = ([], [])
        self._manifests: tuple[tuple[str, int, int, int], ...] | None = None
        self._read_manifests()  # now: worker processes, which inherit where to look for packages, start soon
        self.intake: Intake
        self.keeper: Keeper
        self.diffs: Diffs
        self.metrics: Metrics
        self.events = Events(self)
        self.overviews = Overviews(self)
        self.worklist: Worklist
        self.notices = Notices()
        self.studio_commands = Commands()
        self._tasks: list[asyncio.Task[None]] = []

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
        for name in set(self.api_endpoints) - set(TELLING):
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
        self.logins.start()
        routes = [*page_routes(own), *tornado_routes(self), *sdk_routes(self)]
        self.route_patterns = [pattern_of(route) for route in routes]
        server = BoundedServer(
            GuardedApplication(routes, Guard(self.settings, self.logins), RefusalHandler, **own),
            max_body_size=_MAX_BODY_BYTES,
            max_header_size=_MAX_BODY_BYTES,
            ssl_options=tls_context(self.settings),
            idle_connection_timeout=_IDLE_SECONDS,
            body_timeout=_BODY_SECONDS,
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
        folder = progress_folder(self.settings)
        clear_progress(folder)
        self.worklist = Worklist(folder, open_books())
        self.metrics = Metrics(self, open_books(), tuple(actions))
        actions = {job: self.metrics.jobs.counted(job, action) for job, action in actions.items()}
        self.intake = Intake(self.settings, self.find_sources, open_books(), actions, self.worklist)
        self.keeper = Keeper(self.settings, open_books(), self.intake, jobs, self._find_retention, self.worklist)
        self.diffs = Diffs(self.keeper)
        runs = [self.intake.run(), self.overviews.keep(), tidy_logs_daily(self.settings)]
        if alerts := make_watch(self):
            runs.append(alerts.run())
        self._tasks = [jobs.loop.create_task(run) for run in runs]
        gc.collect()
        gc.freeze()  # what was imported stays: to look through all of it again and again costs more than most pages
        logger.info("the hub listens on %s", self.settings.url)
        if self.logins.is_open:
            link = self.logins.invite("admin", first=True)
            logger.warning(
                "Nobody can log in yet: everybody on this machine may look, and nobody change anything by a browser. Make the first "
                "user, an admin, here, within %d minutes: %s",
                VALID_SECONDS // 60,
                link,
            )

    def stop(self) -> None:
        """End everything that the hub started. Called once its loop has stopped."""
        jobs: FleetJobManager = self.managers["job_manager"]
        jobs.stop_workers()
        self.logins.stop()
        for task in self._tasks:
            task.cancel()
        jobs.loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))

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

    def note_change(self, name: str) -> None:
        """Something was done with the source ``name``: have pages that show it know."""
        self.events.publish([name])

    def find_manifest(self, name: str) -> Manifest | None:
        """The manifest of the source ``name``; None where there is none that can be served."""
        return next((classes.source.manifest for classes in self.sources if classes.source.name == name), None)

    def status_of(self, manifest: Manifest) -> dict[str, Any]:
        """The status of one source."""
        books, name = open_books(), manifest.name
        files = status_of_files(self.settings, manifest)
        under_way = self.intake.under_way(name)
        return complete_status(self.settings, files, books.live.find(name), books.find(name), under_way)

    def _find_retention(self, name: str) -> Retention:
        manifest = self.find_manifest(name)
        return manifest.archive if manifest else Retention()

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
