"""The fleet in containers: what its README promises of it."""

import base64
import json
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.compose import Compose, checked, wait_for
from tests.e2e.stand_ins import provide

pytestmark = pytest.mark.timeout(1200)

CRAWLERS_GROUP = 454
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 27017), timeout=5).close()
except OSError as error:
    sys.exit(f"not reached: {error!r}")
"""


def test_a_crawl_at_the_start_is_live_in_the_database(compose: Compose) -> None:
    status = wait_for("the release to be live", lambda: s if (s := compose.status("demo"))["live"] else None)
    assert status["documents"] == 200
    assert status["rejects"] == 0


def test_a_published_release_and_its_archived_one_are_the_same_file(compose: Compose, folder: Path) -> None:
    published = folder / "shared/demo_crawled"

    def archived() -> Path | None:
        release = (published / "release.txt").read_text().strip()
        found = folder / "shared/archive/demo" / release / "data.ndjson"
        return found if found.exists() and compose.status("demo")["live"] == release else None

    def links() -> tuple[int, int, int, int] | None:
        """Unless a crawl published in between."""
        found = wait_for("the latest release to be archived and live", archived)
        ours, theirs = (published / "data.ndjson").stat(), found.stat()
        unchanged = archived() == found
        return (ours.st_ino, theirs.st_ino, ours.st_nlink, theirs.st_nlink) if unchanged else None

    ours, theirs, *counts = wait_for("a release between two crawls", links)
    assert ours == theirs
    assert counts == [2, 2]


def test_what_cron_starts_is_seen_in_the_container_s_log(compose: Compose) -> None:
    def after_the_first() -> str:
        return compose.logs("demo").partition("first crawl ended with code 0")[2]

    wait_for(
        "cron to start a crawl that publishes",
        lambda: "crawl started" in (log := after_the_first()) and "published" in log,
    )


def test_what_is_ordered_in_the_hub_s_container_the_crawler_s_picks_up(compose: Compose, folder: Path) -> None:
    checked(compose.execute("hub", "fleet", "order", "demo", "--reason", "the tests"))
    history = folder / "shared/demo_crawled/history.ndjson"
    wait_for(
        "the order to be carried out",
        lambda: [run for line in history.read_text().splitlines() if (run := json.loads(line))["trigger"] == "order"],
    )
    assert compose.status("demo")["standing"]["state"] in ("fresh", "running", "due")


def test_a_continuous_source_s_container_crawls_sleeps_exits_and_is_started_again(
    compose: Compose, folder: Path
) -> None:
    history = folder / "continuous/demo_crawled/history.ndjson"
    wait_for("two crawls", lambda: history.exists() and len(history.read_text().splitlines()) >= 2)
    first, second = [json.loads(line) for line in history.read_text().splitlines()[:2]]
    assert (first["outcome"], second["outcome"]) == ("published", "unchanged")
    assert (datetime.fromisoformat(second["started"]) - datetime.fromisoformat(first["ended"])).total_seconds() >= 60
    assert compose.inspect("continuous")["RestartCount"] >= 1
    assert "the next crawl is due: the container ends" in compose.logs("continuous")


@pytest.mark.parametrize("service", ["demo", "slow"])
def test_only_init_and_cron_run_as_root(compose: Compose, service: str) -> None:
    def during_a_crawl() -> list[tuple[int, str]] | None:
        processes = compose.processes(service)
        return processes if any("fleet crawl demo" in args for _, args in processes) else None

    processes = wait_for("a crawl to be seen", during_a_crawl)
    assert {args.split()[0].lower() for uid, args in processes if uid == 0} == {"tini", "cron"}
    assert {uid for uid, _ in processes} == {0, CRAWLERS_GROUP}


def test_the_hub_and_its_database_do_not_run_as_root(compose: Compose) -> None:
    assert {uid for uid, _ in compose.processes("hub")} == {CRAWLERS_GROUP}
    assert {uid for uid, _ in compose.processes("mongodb")} == {999}


def test_a_crawler_can_not_reach_the_database(compose: Compose) -> None:
    networks = compose.inspect("mongodb")["NetworkSettings"]["Networks"]
    addresses = ["mongodb", *(network["IPAddress"] for network in networks.values())]
    for address in addresses:
        assert compose.execute("hub", "python", "-c", CONNECT, address).returncode == 0
        refused = compose.execute("demo", "python", "-c", CONNECT, address)
        assert refused.returncode == 1
        assert "not reached" in refused.stderr


def test_a_secret_is_read_by_its_reader_alone(compose: Compose) -> None:
    assert "/secrets/mongodb" in compose.execute("hub", "ls", "/secrets/mongodb").stderr
    assert "/secrets/hub" in compose.execute("mongodb", "ls", "/secrets/hub").stderr
    assert compose.execute("demo", "ls", "/secrets").returncode != 0


def test_what_prometheus_and_grafana_need_is_made_and_theirs_alone(compose: Compose) -> None:
    look = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "stat", "prepare", "-c", "%u %a %s")
    made = {
        path: checked(compose.run(*look, f"/secrets/{path}")).strip()
        for path in ("prometheus/token", "hub/metrics-token", "grafana/password")
    }
    assert made == {
        "prometheus/token": "65534 400 32",
        "hub/metrics-token": "454 400 32",
        "grafana/password": "472 400 24",
    }
    for folder in ("prometheus", "grafana"):
        assert f"/secrets/{folder}" in compose.execute("hub", "ls", f"/secrets/{folder}").stderr


def test_metrics_are_told_in_the_network_to_who_has_the_token(compose: Compose) -> None:
    scrape = """
import sys, urllib.request
token = open("/secrets/hub/metrics-token").read()
asked = urllib.request.Request("http://hub:7080/metrics", headers={"Authorization": f"Bearer {token}"})
sys.stdout.write(urllib.request.urlopen(asked, timeout=30).read().decode())
"""
    told = checked(compose.execute("hub", "python", "-c", scrape))
    assert "\nfleet_hub_database_up 1.0\n" in told
    assert '\nfleet_source_readable{source="demo"} 1.0\n' in told


def start_monitoring(compose: Compose, service: str, port: int) -> str:
    """Start the service of the profile; its URL. Skips where its image can't be had."""
    provide(compose.image(service))
    started = compose.run("--profile", "monitoring", "up", "-d", "--wait", service, timeout=300)
    if started.returncode and not compose.has_image(compose.image(service)):
        pytest.skip(f"the image of {service} can't be had: {started.stderr.strip()[-300:]}")
    checked(started)
    (published,) = compose.inspect(service)["NetworkSettings"]["Ports"][f"{port}/tcp"]
    assert published["HostIp"] == "127.0.0.1"
    return f"http://127.0.0.1:{published['HostPort']}"


def ask(url: str, password: str = "") -> Any:
    """The JSON that is answered, to the user admin if there is a password."""
    login = {"Authorization": f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"} if password else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=login), timeout=30) as answer:
        return json.load(answer)


def test_prometheus_scrapes_the_hub_and_has_no_way_out(compose: Compose) -> None:
    url = start_monitoring(compose, "prometheus", 9090)

    def is_up() -> bool:
        targets = ask(f"{url}/api/v1/targets")["data"]["activeTargets"]
        return {"fleet": "up"}.items() <= {target["labels"]["job"]: target["health"] for target in targets}.items()

    wait_for("Prometheus to scrape the hub", is_up)
    groups = ask(f"{url}/api/v1/rules")["data"]["groups"]
    assert {group["name"] for group in groups} >= {"fleet-recording", "fleet-sources", "fleet-hub", "fleet-disk"}
    out = compose.execute("prometheus", "timeout", "10", "wget", "-q", "-T", "5", "-O", "-", "http://1.1.1.1/")
    assert out.returncode != 0


def test_grafana_has_the_data_source_and_the_dashboards(compose: Compose) -> None:
    url = start_monitoring(compose, "grafana", 3000)
    password = checked(compose.execute("grafana", "cat", "/secrets/grafana/password")).strip()
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"{url}/api/search")
    refused.value.close()

    def find_dashboards() -> set[str]:
        return {board["uid"] for board in ask(f"{url}/api/search?tag=crawler-fleet", password)}

    wait_for("the dashboards", lambda: find_dashboards() == {"fleet-overview", "fleet-source", "fleet-hub"})
    assert ask(f"{url}/api/datasources/uid/fleet-prometheus/health", password)["status"] == "OK"


def test_alerts_are_off_until_somebody_says_whom_to_tell(compose: Compose) -> None:
    told = compose.execute("hub", "fleet", "alert", "--test")
    assert told.returncode == 2
    assert "FLEET_ALERTS_FILE is not set" in told.stderr
    file = ("-e", "FLEET_ALERTS_FILE=/etc/fleet/alerts/alerts.toml", "hub")
    told = compose.run("exec", "-T", *file, "fleet", "alert", "--test")
    assert told.returncode == 1
    assert "/etc/fleet/alerts/alerts.toml has no channel: nobody is told anything" in told.stderr


def test_only_the_hub_s_api_is_published_and_on_loopback(compose: Compose) -> None:
    published = {
        service: {port: where for port, where in compose.inspect(service)["NetworkSettings"]["Ports"].items() if where}
        for service in ("hub", "mongodb", "demo")
    }
    assert published["mongodb"] == published["demo"] == {}
    assert [entry["HostIp"] for entry in published["hub"].pop("7080/tcp")] == ["127.0.0.1"]
    assert published["hub"] == {}


@pytest.mark.parametrize("path", ["/", "/fleet/status", "/status", "/sources", "/logs/", "/ws/info"])
def test_the_hub_tells_nothing_without_login(compose: Compose, path: str) -> None:
    port = compose.inspect("hub")["NetworkSettings"]["Ports"]["7080/tcp"][0]["HostPort"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30)
    with refused.value as answer:
        assert answer.code == 401


@pytest.mark.parametrize(("service", "works", "lacking"), [("demo", "crawl", "dump"), ("hub", "status", "record")])
def test_a_container_knows_the_commands_of_its_part(compose: Compose, service: str, works: str, lacking: str) -> None:
    told = checked(compose.execute(service, "fleet", "--help"))
    assert f"\n  {works} " in told
    assert f"\n  {lacking} " not in told
    refused = compose.execute(service, "fleet", lacking, "demo")
    assert refused.returncode == 2
    assert "this command can't run here, the package" in refused.stderr


@pytest.mark.parametrize("service", ["demo", "hub"])
def test_an_image_holds_no_compiler_and_can_not_be_written_to(compose: Compose, service: str) -> None:
    found = compose.execute(
        service, "sh", "-c", "for name in cc gcc g++ clang make ld as; do command -v $name; done; true"
    )
    assert checked(found) == ""
    written = compose.execute(
        service,
        "sh",
        "-c",
        "for folder in / /app /etc /usr /var /var/tmp; do touch $folder/x && echo $folder; done; true",
    )
    assert checked(written) == ""
    assert written.stderr.count("Read-only file system") == 6


def test_a_second_crawler_of_the_same_source_is_refused_by_the_lock(compose: Compose, folder: Path) -> None:
    wait_for("the slow crawl to be under way", lambda: list((folder / "slow").glob("demo_crawled/.data.ndjson*.tmp")))
    in_the_container = compose.execute("slow", "scripts/run-spider.sh")
    in_another = compose.run("run", "--rm", "--no-deps", "-T", "slow", "scripts/run-spider.sh")
    for refused in (in_the_container, in_another):
        assert refused.returncode == 3
        assert "another crawl of this source is under way" in refused.stderr


def test_a_killed_container_holds_up_no_other_whose_crawl_removes_what_it_left(compose: Compose, folder: Path) -> None:
    def under_way() -> list[Path]:
        return list((folder / "slow").glob("demo_crawled/.data.ndjson*.tmp"))

    wait_for("the slow crawl to be under way", under_way)
    checked(compose.run("kill", "--signal", "KILL", "slow"))
    assert under_way()
    crawl = ("timeout", "--preserve-status", "10", "scripts/run-spider.sh")
    another = compose.run("run", "--rm", "--no-deps", "-T", "slow", *crawl)
    assert another.returncode == 143, another.stderr
    assert "left behind by a crawl that was killed" in another.stderr
    assert "crawl started" in another.stderr
    assert not under_way()
    history = folder / "slow/demo_crawled/history.ndjson"
    outcomes = [json.loads(line)["outcome"] for line in history.read_text().splitlines()]
    assert outcomes[-2:] == ["killed", "interrupted"]
    checked(compose.run("start", "slow"))
    wait_for("the next crawl to be under way", under_way)


def test_docker_stop_ends_a_crawl_that_is_under_way_and_leaves_nothing(compose: Compose, folder: Path) -> None:
    wait_for("the slow crawl to be under way", lambda: list((folder / "slow").glob("demo_crawled/.data.ndjson*.tmp")))
    checked(compose.run("stop", "slow"))
    state = compose.inspect("slow")["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert "stopped by SIGTERM: nothing was published" in compose.logs("slow")
    left = folder / "slow/demo_crawled"
    assert {path.name for path in left.iterdir()} == {".lock", "last-run.json", "history.ndjson"}
    assert json.loads((left / "last-run.json").read_bytes())["outcome"] == "interrupted"


def test_a_crawl_that_hangs_in_a_container_is_ended_and_recorded(compose: Compose, folder: Path) -> None:
    checked(compose.run("stop", "slow"))
    # Frozen, nothing of it moves; beside the limit it has the time that its site's rate asks for.
    frozen = (
        "scripts/run-spider.sh & sleep 3; kill -STOP $!; wait $!; echo ended with $?; "
        "until grep -q '\"stuck\"' /shared-volume/demo_crawled/last-run.json; do sleep 0.1; done"
    )
    hung = compose.run("run", "--rm", "--no-deps", "-T", "-e", "FLEET_STUCK_MINUTES=0.1", "slow", "sh", "-c", frozen)
    assert "ended with 137" in hung.stdout, hung.stderr
    assert "stuck: nothing moved for 16 s" in hung.stderr
    left = folder / "slow/demo_crawled"
    assert not list(left.glob(".*.tmp"))
    runs = [json.loads(line) for line in (left / "history.ndjson").read_text().splitlines()]
    assert runs[-1]["outcome"] == json.loads((left / "last-run.json").read_text())["outcome"] == "stuck"
    log = compose.run("run", "--rm", "--no-deps", "-T", "slow", "fleet", "logs", "demo", "--level", "error")
    assert "stuck: nothing moved for 16 s" in checked(log)


def test_a_container_whose_cron_ended_is_restarted(compose: Compose) -> None:
    checked(compose.execute("demo", "sh", "-c", "kill -KILL $(cat /run/crond.pid)"))
    wait_for("the container to be restarted", lambda: compose.inspect("demo")["RestartCount"] == 1)
    wait_for("it to be healthy again", lambda: compose.inspect("demo")["State"]["Health"]["Status"] == "healthy")
    assert "cron ended with code -9" in compose.logs("demo")


def test_a_second_start_goes_on_with_the_data_of_the_first(compose: Compose) -> None:
    checked(compose.run("down", timeout=180))
    compose.up("hub", "mongodb")
    assert compose.status("demo")["documents"] == 200


def test_a_change_of_the_hub_leaves_database_and_crawlers_running(compose: Compose, folder: Path) -> None:
    compose.up("hub", "demo")
    hub, *others = [compose.container(service) for service in ("hub", "mongodb", "demo")]
    override = folder / "override.yml"
    override.write_text(override.read_text() + "  hub:\n    build: { labels: { changed: later } }\n")
    compose.up("hub", "demo")
    after = [compose.container(service) for service in ("hub", "mongodb", "demo")]
    assert after[0] != hub
    assert after[1:] == others


@pytest.mark.parametrize("source", ["dryad", "pangaea"])
def test_the_image_of_each_other_kind_runs_its_source(compose: Compose, source: str) -> None:
    checked(compose.run("build", source, timeout=900))
    listed = checked(compose.run("run", "--rm", "--no-deps", "-T", source, "fleet", "sources", "--json"))
    assert [manifest["name"] for manifest in json.loads(listed)] == [source]
    nowhere = ("scripts/run-spider.sh", source, "--base-url", "http://127.0.0.1:9")
    crawled = compose.run("run", "--rm", "--no-deps", "-T", "-e", "FLEET_RETRY_PAUSE_SECONDS=0.01", source, *nowhere)
    assert crawled.returncode == 1
    assert "Nothing was published" in crawled.stderr
