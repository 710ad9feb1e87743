"""A real Prometheus that scrapes a real hub, with the project's own rules: what it sees of a crawl, and when it rings.

The answers of its API are left in ``test-results/monitoring/``, for people to look at.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import orjson
import pytest
import requests

from hub.embedded import EmbeddedDatabase
from hub.settings import HubSettings
from tests.prometheus import CHECKOUT, RunningPrometheus, expressions, named, promtool
from tests.running_hub import RunningHub, free_port, wait_for
from tests.site import Site, serve_site

EVIDENCE = CHECKOUT / "test-results/monitoring"
LOGIN, TOKEN = ("operator", "password"), "a-token-of-the-tests"
LONG_AGO = "2026-01-02T03:04:05Z"
HARVESTER = """
    def parse(api):
        for number in api.get_json("http://site.invalid/numbers"):
            item = api.get_json(f"http://site.invalid/item/{number}", required=False)
            if item:
                yield {"_id": str(number), "name": f"number {number}", **item}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Twelve pages, of which one is missing."""
    with serve_site() as site:
        site.put("/numbers", orjson.dumps([*range(12)]).decode())
        for number in range(11):
            site.put(f"/item/{number}", '{"description": "a number", "url": "http://site.invalid/"}')
        yield site


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedDatabase, str]]:
    """A database that may be stopped, and its URI."""
    environment = {"FLEET_DATA_DIR": str(tmp_path_factory.mktemp("database")), "FLEET_MONGO_PORT": str(free_port())}
    settings = HubSettings.from_environment(environment)
    with EmbeddedDatabase(settings) as running:
        yield running, f"{settings.database_uri()}&serverSelectionTimeoutMS=300"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, database: tuple[EmbeddedDatabase, str]) -> Iterator[RunningHub]:
    """A hub with a login. Its source ``site`` was last collected long ago, ``other`` was never crawled."""
    root = tmp_path_factory.mktemp("hub")
    for name, content in {
        "token": TOKEN,
        "password": LOGIN[1],
        "alerts.toml": "settle_minutes = 0\nlook_seconds = 0.2\n[[channels]]\nname = 'hook'\nurl = 'json://127.0.0.1:9/'\n",
    }.items():
        (root / name).write_text(content)
    hub = RunningHub(
        root,
        database[1],
        "fleet",
        FLEET_HUB_USER=LOGIN[0],
        FLEET_HUB_PASSWORD_FILE=str(root / "password"),
        FLEET_METRICS_TOKEN_FILE=str(root / "token"),
        FLEET_ALERTS_FILE=str(root / "alerts.toml"),
    )
    hub.auth = LOGIN
    for name in ("site", "other"):
        hub.add_source(name, error_budget=0.1)
    (hub.sources / "site/harvester.py").write_text(dedent(HARVESTER))
    folder = hub.shared / "site_crawled"
    folder.mkdir()
    times = dict.fromkeys(("release", "started", "ended"), LONG_AGO)
    run = {"source": "site", "run": "the-first", **times, "outcome": "unchanged", "exit_code": 0}
    for name in ("last-run.json", "history.ndjson"):
        (folder / name).write_bytes(orjson.dumps(run) + b"\n")
    yield hub.start()
    hub.stop()
    assert hub.client
    hub.client.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, hub: RunningHub) -> Iterator[RunningPrometheus]:
    """Scrapes ``hub`` each second, by its token."""
    folder = tmp_path_factory.mktemp("prometheus")
    with RunningPrometheus(folder, hub.port, Path(hub.environment["FLEET_METRICS_TOKEN_FILE"])).run() as running:
        yield running


def scrape(hub: RunningHub) -> str:
    answer = requests.get(f"{hub.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return answer.text


def described(text: str) -> dict[str, str]:
    """The names of metrics that are told, and their types."""
    return dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))


def keep(name: str, prometheus: RunningPrometheus, *questions: tuple[str, dict[str, str]]) -> None:
    """Leave answers of the API as evidence."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    answers = [
        {"asked": path, **parameters, "answer": prometheus.ask(path, **parameters)} for path, parameters in questions
    ]
    (EVIDENCE / f"{name}.json").write_bytes(orjson.dumps(answers, option=orjson.OPT_INDENT_2))


def test_metrics_are_told_to_who_has_the_token_or_a_login_and_the_token_opens_nothing_else(hub: RunningHub) -> None:
    def ask(path: str, **options: object) -> requests.Response:
        return requests.get(hub.url + path, timeout=30, **options)  # type: ignore[arg-type]

    token = {"Authorization": f"Bearer {TOKEN}"}
    assert ask("/metrics", headers=token).status_code == 200
    assert ask("/metrics", auth=LOGIN).status_code == 200
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
    ):
        refused = ask("/metrics", headers=headers)
        assert refused.status_code == 401
        assert "fleet_" not in refused.text
        assert "WWW-Authenticate" in refused.headers
    for path in ("/fleet/status", "/", "/sources", "/fleet/sources/site/releases"):
        assert ask(path, headers=token).status_code == 401, path


def test_promtool_finds_names_and_help_well_made(hub: RunningHub) -> None:
    text = scrape(hub)
    assert promtool("check", "metrics", given=text.encode()) == ""
    assert not re.search(r"_created\b", text)


def test_every_metric_that_a_rule_or_dashboard_names_is_told(hub: RunningHub) -> None:
    told = set(described(scrape(hub)))
    for place, expression in expressions().items():
        names = {re.sub("_(bucket|sum|count)$", "", name) for name in named(expression) if ":" not in name}
        assert names <= told, place


def test_the_manual_lists_every_metric(hub: RunningHub) -> None:
    rows = re.findall(r"(?m)^\| (`fleet_[^|]+) \|", (CHECKOUT / "docs/monitoring.md").read_text())
    listed = {name for row in rows for name in re.findall("fleet_[a-z_]+", row)}
    assert listed == {name for name in described(scrape(hub)) if name.startswith("fleet_")}


def test_prometheus_understands_every_expression(prometheus: RunningPrometheus) -> None:
    for expression in expressions().values():
        prometheus.ask("query", query=expression)


def test_an_alert_rings_for_a_source_that_is_stale_and_falls_silent_after_a_crawl(
    hub: RunningHub, prometheus: RunningPrometheus, site: Site
) -> None:
    wait_for(lambda: prometheus.value('up{job="fleet"}') == 1, "the target to be up")
    wait_for(lambda: "FleetSourceStale site" in prometheus.firing(), "the alert to fire")
    assert not {it for it in prometheus.firing() if "other" in it}
    stale = {"query": 'fleet_source_state{state="stale"}'}
    keep("1-stale", prometheus, ("targets", {}), ("alerts", {}), ("query", stale))

    crawled = hub.run("crawl", "site", "--base-url", site.url)
    assert crawled.returncode == 0, crawled.stderr
    wait_for(lambda: "FleetSourceStale site" not in prometheus.firing(), "the alert to be resolved")
    wait_for(lambda: prometheus.value('fleet_source_documents{source="site"}') == 11, "the documents to be live")
    seen = {
        'fleet_source_state{source="site", state="fresh"}': 1,
        "fleet_source_release_records": 11,
        'fleet_source_last_run_outcome{source="site", outcome="published"}': 1,
        'fleet_source_last_run_errors{source="site", class="not_found"}': 1,
        'fleet_source_last_run_failed_pages{source="site"}': 1,
        'fleet_source_runs_total{source="site", outcome="published"}': 1,
        'fleet_source_coverage_ratio{source="site", field="name"}': 1,
        'fleet_hub_jobs_total{action="upload", outcome="done"}': 1,
        "fleet_hub_uploaded_documents_total": 11,
        "fleet_hub_database_up": 1,
    }
    assert {query: prometheus.value(query) for query in seen} == seen
    requests_sent = prometheus.value('fleet_source_last_run_requests{source="site"}')
    assert requests_sent and requests_sent >= 13
    assert prometheus.value('fleet_source_requests_total{source="site"}') == requests_sent
    assert prometheus.value('increase(fleet_source_runs_total{source="site", outcome="published"}[5m])')
    keep("2-collected", prometheus, ("alerts", {}), *(("query", {"query": query}) for query in seen))


def test_a_database_that_is_away_rings_and_sources_are_told_of_all_the_same(
    hub: RunningHub, prometheus: RunningPrometheus, database: tuple[EmbeddedDatabase, str]
) -> None:
    running, _ = database
    running.stop()
    wait_for(lambda: "FleetDatabaseAway" in prometheus.firing(), "the alert to fire")
    assert prometheus.value("fleet_source_readable{source='other'}") == 1
    keep("3-database-away", prometheus, ("alerts", {}))
    told = hub.data / "alerts/memory.json"
    wait_for(lambda: "Crawler Fleet: database is away" in told.read_text(), "the hub to tell people, too")
    with running:
        wait_for(lambda: "FleetDatabaseAway" not in prometheus.firing(), "the alert to be resolved")
