"""How crawls end that don't end by themselves: stopped, killed, locked out, or out of disk. They publish nothing."""

import random
import resource
import signal
import subprocess
import time

import pytest

from tests.command import Fleet
from tests.site import Answer, Site

SPIDER = """
    import scrapy

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/first", "http://site.invalid/second"]

        def parse(self, response):
            for number in range(3000):
                yield {"_id": f"{response.url[-5:]}-{number}", "text": "x" * 12_000}
"""
HARVESTER = """
    def parse(api):
        for page in ("first", "second"):
            api.get(f"http://site.invalid/{page}")
            for number in range(3000):
                yield {"_id": f"{page}-{number}", "text": "x" * 12_000}
"""
# Of the first page there are more records than wait in memory.
PUBLISHED = ["data.ndjson", "rejects.ndjson", "release.json", "release.txt"]


@pytest.fixture(params=["scrapy", "api"])
def source(fleet: Fleet, site: Site, request: pytest.FixtureRequest) -> str:
    """A source whose second page never comes."""
    fleet.write_source("little", request.param, SPIDER if request.param == "scrapy" else HARVESTER)
    site.put("/first", "first")
    site.put("/second", Answer(fault="hang"))
    return "little"


def start(fleet: Fleet, site: Site) -> subprocess.Popen[str]:
    return fleet.start("crawl", "little", "--base-url", site.url)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"])
def test_a_signal_ends_a_crawl_at_once_and_leaves_nothing(
    fleet: Fleet, site: Site, source: str, number: signal.Signals, code: int
) -> None:
    with start(fleet, site) as process:
        site.wait_for("/second")
        assert list(fleet.folder(source).glob(".*.tmp"))  # or there would be nothing to leave behind
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert f"stopped by {number.name}: nothing was published" in err
    assert "Traceback" not in err
    assert fleet.files(source) == []


def test_a_second_signal_changes_nothing(fleet: Fleet, site: Site, source: str) -> None:
    with start(fleet, site) as process:
        site.wait_for("/second")
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode in (143, 130)  # the kernel may deliver those that wait in any order
    assert fleet.files(source) == []


def test_a_second_crawl_of_a_source_is_locked_out(fleet: Fleet, site: Site, source: str) -> None:
    with start(fleet, site) as process:
        site.wait_for("/second")
        second = fleet.run("crawl", source, "--base-url", site.url)
        assert second.returncode == 3
        assert "another crawl of this source is under way" in second.stderr
        files = fleet.files(source)
        assert len(files) == 2  # the first one's temporary files are left alone
        assert all(name.endswith(f"-{process.pid}.tmp") for name in files)
        process.terminate()
        process.communicate(timeout=20)


def test_a_killed_crawl_leaves_temporary_files_only_and_the_next_removes_them(
    fleet: Fleet, site: Site, source: str
) -> None:
    with start(fleet, site) as process:
        site.wait_for("/second")
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(fleet.files(source)) == 2
    assert all(name.startswith(".") and name.endswith(".tmp") for name in fleet.files(source))
    site.put("/second", "second")
    done = fleet.run("crawl", source, "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert "left behind by a crawl that was killed" in done.stderr
    assert fleet.files(source) == PUBLISHED
    assert len(fleet.records(source)) == 6000


def test_a_disk_that_fills_up_ends_a_crawl_and_publishes_nothing(
    fleet: Fleet, site: Site, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit on file sizes is the one way to fill a disk that needs neither root nor a mount. The next page never comes:
    # the crawl has to end by itself, as soon as the disk fails.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        process = start(fleet, site)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "File too large" in err
    assert "It was not published. See that the disk has room" in err
    assert "Traceback" not in err
    assert fleet.files(source) == []


def test_a_shared_volume_that_can_not_be_written_is_named_with_what_to_do(
    fleet: Fleet, site: Site, source: str
) -> None:
    fleet.shared.write_text("a file where a folder should be")
    done = fleet.run("crawl", source, "--base-url", site.url)
    assert done.returncode == 1
    assert "Make FLEET_SHARED_DIR a folder that uid" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_crawl_that_is_stopped_at_any_moment_publishes_all_or_nothing(fleet: Fleet, site: Site, source: str) -> None:
    site.put("/second", "second")
    chance = random.Random(20261122)
    ended = {0: 0, 143: 0, 130: 0, -15: 0, -2: 0, -9: 0}
    releases: dict[str, bytes] = {}
    for _ in range(60):
        number = chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
        with start(fleet, site) as process:
            time.sleep(chance.uniform(0.2, 0.99))
            process.send_signal(number)
            process.communicate(timeout=60)
        ended[process.returncode] += 1
        files = fleet.files(source)
        hidden = [name for name in files if name.startswith(".")]
        if number != signal.SIGKILL:
            assert hidden == []
        if "release.txt" not in files:
            continue
        release = (fleet.folder(source) / "release.txt").read_text()
        content = (fleet.folder(source) / "data.ndjson").read_bytes()
        if process.returncode != -9:
            assert fleet.description(source)["release"] == release.strip()
            assert content.count(b"\n") == fleet.description(source)["records"] == 6000
            assert releases.setdefault(release, content) == content
    assert ended[0] + ended[143] + ended[130] > 0, ended


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("api", "import sys\n\ndef parse(api):\n    yield {'_id': '1'}\n    sys.exit(0)\n"),
        ("api", "import sys\n\nsys.exit(0)\n"),
        ("scrapy", "return sys.exit(0)"),
        ("scrapy", "yield {'_id': '1'}; sys.exit(0)"),
    ],
)
def test_code_that_exits_is_a_failure_and_publishes_nothing(fleet: Fleet, site: Site, kind: str, code: str) -> None:
    if kind == "scrapy":
        code = (
            "import sys\n\nimport scrapy\n\nclass LittleSpider(scrapy.Spider):\n    name = 'little'\n"
            f"    start_urls = ['http://site.invalid/first']\n\n    def parse(self, response):\n        {code}\n"
        )
    fleet.write_source("little", kind, code)
    site.put("/first", "<p>here")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode in (1, 2, 4), done.stderr
    assert "exit" in done.stderr.lower()
    assert "release.txt" not in fleet.files("little")
