"""Crawls that hang are ended, whatever they hang in: recorded as stuck, with where, and the next one runs as ever.

All hang at the same time, each with a shared volume of its own: what takes time is that nothing moves.
"""

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from crawlers.runtime.history import read_history
from crawlers.runtime.lock import is_locked
from crawlers.runtime.run_log import list_run_logs, read_run_log
from tests.command import Fleet
from tests.site import Answer, Site, serve_site

SPIDER = """
    import scrapy
    {top}
    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/first"]

        def parse(self, response):
            yield {{"_id": "1", "name": "One", "url": response.url}}
            {then}

        def parse_second(self, response):
            yield {{"_id": "2", "name": "Two", "url": response.url}}
"""
HARVESTER = """
    {top}
    def parse(api):
        yield {{"_id": "1", "name": "One", "url": "http://site.invalid/1"}}
        api.get("http://site.invalid/first")
        {then}
"""
CODE = {"scrapy": SPIDER, "api": HARVESTER, "browser": SPIDER}
RESOLVES_NEVER = "import socket, threading; socket.{} = lambda *a, **k: threading.Event().wait()"
RENDERS = "from crawlers.runtime.browser.rendering import BrowserRequest"
# Seconds: many times what any of them takes for a step, on a machine with other things to do.
LIMIT = "0.1"
# More than the limit.
ASKS_TO_WAIT = Answer("busy", 503, {"Retry-After": "8"})


@dataclass
class Hang:
    """A way to hang. ``place``: what the history says of it; ``answers``: those of the site."""

    kind: str
    place: str
    top: str = ""
    then: str = "pass"
    answers: dict[str, Answer] = field(default_factory=dict)
    address: str = ""


HANGS = {}
if shutil.which("chromium") and shutil.which("chromedriver"):  # first: it takes a while to start
    HANGS["browser"] = Hang(
        "browser",
        "http://site.invalid/second",
        RENDERS,
        "yield BrowserRequest(response.urljoin('/second'), self.parse_second)",
        {"/second": Answer("<b>second</b>", gate=threading.Event())},
    )
HANGS |= {
    "name": Hang("api", "asking for http://site.invalid/first", RESOLVES_NEVER.format("getaddrinfo"), address="none"),
    "name-scrapy": Hang("scrapy", "http://site.invalid/first", RESOLVES_NEVER.format("gethostbyname"), address="none"),
    "connection": Hang("api", "asking for http://site.invalid/first", address="deaf"),
    "connection-scrapy": Hang("scrapy", "asking for http://site.invalid/first", address="deaf"),
    "body": Hang("api", "asking for http://site.invalid/first", answers={"/first": Answer("x" * 999, fault="stall")}),
    "body, the watchdog killed": Hang(
        "api", "asking for http://site.invalid/first", answers={"/first": Answer("x" * 999, fault="stall")}
    ),
    "body-scrapy": Hang("scrapy", "http://site.invalid/first", answers={"/first": Answer("x" * 999, fault="stall")}),
    # Python code that never ends, and code in C, which lets no other thread and no signal handler of Python run.
    "loop-scrapy": Hang("scrapy", "parse (spider.py:10)", then="while True: pass"),
    "loop-in-c": Hang(
        "api", "parse (harvester.py:6)", "import collections, itertools", "collections.deque(itertools.repeat(0), 0)"
    ),
}


# These don't hang, though nothing moves for as long. ``place`` is of no matter.
PATIENT = {
    "waits-scrapy": Hang("scrapy", "", answers={"/first": ASKS_TO_WAIT}),
    "waits": Hang("api", "", answers={"/first": ASKS_TO_WAIT}),
    "paused": Hang("api", "", answers={"/first": Answer("<p>first", gate=threading.Event())}),
}


@dataclass
class Crawl:
    """A crawl: what it left, what it said and how it ended."""

    fleet: Fleet
    temporary: Path
    site: Site
    process: subprocess.Popen[str]
    said: str = ""


@pytest.fixture(scope="module")
def crawls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Crawl]]:
    with ExitStack() as stack, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):  # so that it takes no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        started: dict[str, Crawl] = {}
        for name, hang in (HANGS | PATIENT).items():
            site = stack.enter_context(serve_site())
            url = {"deaf": f"http://127.0.0.1:{deaf.getsockname()[1]}", "none": ""}.get(hang.address, site.url)
            # Not below the root: the path of a browser's socket would be too long.
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            started[name] = start(tmp_path_factory.mktemp("crawl"), hang, site, url, temporary)
            stack.enter_context(started[name].process)
            stack.callback(started[name].process.kill)
            if hang.kind == "browser":
                freeze(started[name])
        paused = started["paused"]
        paused.site.wait_for("/first")
        stopped = [psutil.Process(paused.process.pid), *psutil.Process(paused.process.pid).children()]
        for process in stopped:
            process.suspend()
        started["body, the watchdog killed"].site.wait_for("/first")
        [watchdog] = psutil.Process(started["body, the watchdog killed"].process.pid).children()
        watchdog.kill()
        for name in HANGS:
            started[name].said = started[name].process.communicate(timeout=120)[1]
        for process in stopped:
            process.resume()
        open_gate(paused, "/first")
        for name in PATIENT:
            started[name].said = started[name].process.communicate(timeout=120)[1]
        yield started


def start(root: Path, hang: Hang, site: Site, url: str, temporary: Path) -> Crawl:
    (root / "sources").mkdir()
    fleet = Fleet(root / "sources", root / "shared")
    site.put("/first", "<p>first")
    for path, answer in hang.answers.items():
        site.put(path, answer, "<p>first")
    fleet.write_source("little", hang.kind, CODE[hang.kind].format(top=hang.top, then=hang.then), obey_robots=False)
    waits = {"FLEET_TIMEOUT_SECONDS": "600", "FLEET_STUCK_MINUTES": LIMIT, "TMPDIR": str(temporary)}
    address = ["--base-url", url] if url else []
    return Crawl(fleet, temporary, site, fleet.start("crawl", "little", *address, **waits))


def freeze(crawl: Crawl) -> None:
    """Stop the processes of the browser, and only then let the page come that it is to show."""
    crawl.site.wait_for("/second")
    frozen = [it for it in psutil.Process(crawl.process.pid).children(recursive=True) if it.name() == "chromium"]
    assert frozen
    for process in frozen:
        process.suspend()
    open_gate(crawl, "/second")


def open_gate(crawl: Crawl, path: str) -> None:
    gate = (HANGS | PATIENT)["browser" if path == "/second" else "paused"].answers[path].gate
    assert gate
    gate.set()


@pytest.mark.parametrize("name", PATIENT)
def test_to_wait_politely_or_to_be_paused_is_not_to_be_stuck(crawls: dict[str, Crawl], name: str) -> None:
    assert crawls[name].process.returncode == 0, crawls[name].said
    [run] = read_history(crawls[name].fleet.folder("little"))
    assert run.outcome == "published"


@pytest.mark.parametrize("name", HANGS)
def test_a_crawl_that_hangs_is_ended_and_recorded_and_the_next_one_runs(crawls: dict[str, Crawl], name: str) -> None:
    crawl, hang = crawls[name], HANGS[name]
    fleet, folder = crawl.fleet, crawl.fleet.folder("little")
    assert crawl.process.returncode in (1, -9), crawl.said
    assert "Traceback" not in crawl.said
    [run] = read_history(folder)
    assert run.outcome == "stuck", crawl.said
    assert run.message.startswith("stuck: nothing moved for 6 s while ")
    assert hang.place in run.message
    assert run.message.partition(" (")[0] in crawl.said
    assert fleet.files("little") == []
    assert {path.name for path in folder.iterdir()} <= {".lock", "last-run.json", "history.ndjson", "stuck.json"}
    assert list(crawl.temporary.iterdir()) == []
    assert not is_locked(folder)
    assert [it.pid for it in psutil.process_iter(["cmdline"]) if str(crawl.temporary) in str(it.info["cmdline"])] == []
    state = fleet.shared / "little_state"
    told = [line for line in read_run_log(state, run.run, level="ERROR").lines if line.trace]
    assert [line.message for line in told] == [run.message]
    assert "Current thread" in told[0].trace

    crawl.site.put("/first", "<p>first")
    fleet.write_source("little", "api", HARVESTER.format(top="", then="pass"))
    done = fleet.run("crawl", "little", "--base-url", crawl.site.url)
    assert done.returncode == 0, done.stderr
    assert [entry.outcome for entry in read_history(folder)] == ["stuck", "published"]
    assert len(list_run_logs(state)) == 2
