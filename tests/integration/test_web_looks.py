"""The pages and endpoints of releases, runs, documents and jobs: on a real hub, for each role, and in a real browser."""

import json
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.browser import Browser, needs_chromium, open_browser
from tests.looks import PASSWORD, ROLES, Looks, bearer, make_looks, write_log
from tests.morning import Morning
from tests.running_hub import RunningHub, documents, wait_for
from tests.xss import ALL, LONG


@pytest.fixture(scope="module")
def looks(make_module_hub: Callable[..., RunningHub]) -> Looks:
    return make_looks(make_module_hub())


PAGES = {
    "release": "/sources/cells/releases/live",
    "release-held": "/sources/cells/releases/held",
    "release-rejects": "/sources/cells/releases/held/rejects",
    "diff": "/sources/cells/diff?from=live&to=held",
    "run": "/sources/cells/runs/last",
    "documents": "/sources/cells/documents",
    "documents-fields": "/sources/cells/documents?fields=true",
    "documents-values": "/sources/cells/documents?values=author.name",
    "document": "/sources/cells/documents?id=cells_003",
    "jobs": "/jobs",
    "log": "/log",
    "configuration": "/configuration",
}
HOSTILE = {
    "hostile-release": "/sources/hostile/releases/live",
    "hostile-run": "/sources/hostile/runs/last",
    "hostile-documents": "/sources/hostile/documents?limit=50",
    "hostile-values": "/sources/hostile/documents?values=name",
    "refused-rejects": "/sources/refused/releases/archived/rejects?of=upload",
}


def test_a_release_tells_all_that_is_known_of_it(looks: Looks) -> None:
    told = looks.json(f"/fleet/sources/cells/releases/{looks.second}")
    assert told["places"] == ["published", "archived", "live"]
    assert (told["changes"]["added"], told["changes"]["removed"], told["changes"]["changed"]) == (2, 2, 2)
    assert told["before"] == looks.first
    assert told["description"]["records"] == 30
    held = looks.json("/fleet/sources/cells/releases/held")
    assert held["release"] == looks.held
    assert "9 records, 21 fewer than the 30" in held["description"]["reasons"][0]
    assert looks.get("/fleet/sources/cells/releases/2026-01-01T00:00:00Z").status_code == 404
    assert looks.get("/fleet/sources/nobody/releases/live").status_code == 404


def test_a_release_is_downloaded_whole_and_in_ranges(looks: Looks) -> None:
    path = f"/fleet/sources/cells/releases/{looks.second}/files/data.ndjson"
    content = (looks.hub.archive / "cells" / looks.second / "data.ndjson").read_bytes()
    whole = looks.get(path)
    assert whole.content == content
    assert whole.headers["Content-Disposition"].startswith('attachment; filename="cells-')
    for asked, part in (("bytes=5-9", content[5:10]), ("bytes=-7", content[-7:]), ("bytes=100-", content[100:])):
        answer = looks.get(path, Range=asked)
        assert (answer.status_code, answer.content) == (206, part)
    assert looks.get(path, Range=f"bytes={len(content)}-").status_code == 416
    assert looks.get(path, Range="bytes=x").content == content


@pytest.mark.parametrize(
    "path",
    [
        "/fleet/sources/cells/releases/live/files/..%2F..%2Fpin.json",
        "/fleet/sources/cells/releases/live/files/release.txt",
        "/fleet/sources/cells/releases/..%2Fhostile/files/data.ndjson",
        "/fleet/sources/..%2Fcells/releases/live/files/data.ndjson",
        "/fleet/sources/cells/releases/live/files/%2Fetc%2Fpasswd",
        "/fleet/sources/cells/runs/..%2F..%2Flast-run/log",
    ],
)
def test_no_path_leads_out_of_the_archive(looks: Looks, path: str) -> None:
    assert looks.get(path).status_code == 404


def test_rejects_are_told_by_group_and_whole(looks: Looks) -> None:
    groups = looks.json("/fleet/sources/cells/releases/held/rejects")["groups"]
    assert [(it["kind"], it["field"], it["count"]) for it in groups] == [("schema", "name", 3)]
    (reject,) = looks.json("/fleet/sources/cells/releases/held/rejects/records?skip=2&kind=schema")
    assert (reject["record"]["_id"], reject["field"]) == ("cells_002", "name")
    upload = looks.json("/fleet/sources/refused/releases/archived/rejects?of=upload")
    assert sum(it["count"] for it in upload["groups"]) == 2


def test_documents_are_asked_for_by_id_by_field_and_at_random(looks: Looks) -> None:
    base = "/fleet/sources/cells/documents"
    assert looks.json(f"{base}/cells_010")["name"] == "Dataset 10"
    found = looks.json(f"{base}?field=author.name&value=Ana 3&limit=2")
    assert [it["_id"] for it in found["documents"]] == ["cells_003", "cells_010"]
    after = looks.json(f"{base}?field=author.name&value=Ana 3&limit=2&after={found['next']}")
    assert [it["_id"] for it in after["documents"]] == ["cells_017", "cells_024"]
    assert len(looks.json(f"{base}?sample=true&limit=5")["documents"]) == 5
    assert looks.json(f"{base}?field=size&operator=exists")["documents"][0]["_id"] == "cells_005"
    assert looks.get(f"{base}?field=$where&value=1").status_code == 404
    assert looks.get(f"{base}?operator=$regex").status_code == 400
    assert looks.get(f"{base}?limit=1000").status_code == 400
    slash = requests.utils.quote(f"hostile_{ALL}", safe="")  # type: ignore[attr-defined]
    assert looks.json(f"/fleet/sources/hostile/documents/{slash}")["name"] == LONG


def test_fields_and_values_are_counted_and_one_record_is_followed(looks: Looks) -> None:
    fields = {it["path"]: it for it in looks.json("/fleet/sources/cells/fields")["fields"]}
    assert fields["author[].name"]["types"] == {"text": 30}
    values = looks.json("/fleet/sources/cells/fields/size")
    assert (values["missing"], values["distinct"], values["basis"]["sampled"]) == (24, 6, False)
    steps = looks.json("/fleet/sources/cells/documents/cells_003/history")["steps"]
    assert [it["became"] for it in steps] == ["added", "changed"]
    assert [it["path"] for it in steps[1]["changes"]] == ["description"]


def test_two_releases_are_compared_with_examples_side_by_side(looks: Looks) -> None:
    told = looks.json(f"/fleet/sources/cells/diff?from={looks.second}&to=held&examples=5")
    (example,) = [it for it in told["examples"]["changed"] if it["_id"] == "cells_003"]
    assert example["values"][0]["before"].endswith('Revised."')


def test_a_run_and_its_log(looks: Looks) -> None:
    run = looks.json("/fleet/sources/cells/runs/last")
    assert (run["outcome"], run["counts"]["records"]) == ("held", 9)
    assert [it["run"] for it in looks.json("/fleet/sources/cells/runs?last=1")] == [run["run"]]
    log = looks.json(f"/fleet/sources/cells/runs/{run['run']}/log?level=ERROR")
    assert [it["message"] for it in log["lines"]][-1] == "it failed: password=s3cret"
    assert {it["level"] for it in log["lines"]} <= {"ERROR", "CRITICAL"}
    assert looks.json(f"/fleet/sources/cells/runs/{run['run']}/log?after={log['next_byte']}")["lines"] == []


def test_jobs_that_ended_are_told_with_their_log(looks: Looks) -> None:
    jobs = looks.json("/fleet/jobs/history?source=refused")
    failed = next(it for it in jobs if it["action"] == "upload")
    assert failed["state"] == "failed" and "above the budget" in failed["reason"]
    assert looks.json(f"/fleet/jobs/{failed['job']}")["job"] == failed["job"]
    lines = looks.json(f"/fleet/log?job={failed['job']}", "otto")["lines"]
    assert "did not go live" in " ".join(it["message"] for it in lines)
    look = looks.json("/fleet/jobs")
    assert {"hub", "worker"} <= {it["what"] for it in look["processes"]}
    assert looks.stop(failed["job"], "otto").status_code == 409
    assert looks.get("/fleet/jobs/nobody").status_code == 404


@pytest.mark.parametrize(
    ("path", "least"),
    [
        ("/fleet/sources/cells/documents", "rita"),
        ("/fleet/sources/cells/fields", "rita"),
        ("/fleet/sources/cells/releases/live/rejects", "rita"),
        ("/fleet/sources/cells/releases/live/files/data.ndjson", "rita"),
        ("/fleet/sources/cells/runs/last/log", "rita"),
        ("/fleet/log", "otto"),
        ("/fleet/configuration", "ada"),
        ("/sources/cells/documents", "rita"),
        ("/log", "otto"),
        ("/configuration", "ada"),
    ],
)
def test_each_takes_its_role(looks: Looks, path: str, least: str) -> None:
    assert looks.get(path, "").status_code in (302, 303, 401)
    names = list(ROLES)
    for name in names:
        refused = names.index(name) < names.index(least)
        assert (looks.get(path, name).status_code == 403) == refused, name


def test_a_log_is_followed_as_it_is_written(looks: Looks) -> None:
    cursor = looks.json("/fleet/log", "otto")["cursor"]
    url = f"{looks.hub.url}/fleet/log/events?after={cursor}"
    with requests.get(url, headers=bearer("otto"), stream=True, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        looks.hub.act("cells", "dump")
        looks.hub.act("cells", "upload", force="1")
        data = next(line for line in answer.iter_lines() if line.startswith(b"data:"))
    assert "hub" in {it["logger"].split(".")[0] for it in json.loads(data[5:])}


def test_an_upload_is_stopped_and_what_was_live_stays(looks: Looks) -> None:
    """A large release keeps the worker busy long enough to be stopped where it is."""
    hub = looks.hub
    hub.add_source("large")
    release = "2026-11-22T01:02:03Z"
    hub.publish("large", release, documents(60_000, "large", text="x" * 200))
    job = wait_for(
        lambda: next(
            (it["job"]["job"] for it in looks.json("/fleet/jobs")["running"] if it["job"]["action"] == "upload"), None
        ),
        "the upload to begin",
    )
    assert looks.stop(job, "rita").status_code == 403
    answer = looks.stop(job, "otto")
    assert (answer.status_code, answer.json()["stopping"]) == (200, "otto")
    ended = wait_for(lambda: (it := looks.json(f"/fleet/jobs/{job}"))["ended"] and it, "the upload to be stopped")
    assert ended["state"] == "cancelled" and "stopped by otto" in ended["reason"]
    assert hub.status("large")["live"] is None


@pytest.fixture(scope="module")
def chromium(looks: Looks) -> Iterator[Browser]:
    with open_browser(looks.hub.url) as browser:
        browser.log_in("ada", PASSWORD)
        yield browser


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_by_everybody(chromium: Browser, name: str) -> None:
    chromium.visit(PAGES[name])
    looks_left = iter(range(4))

    def check() -> None:
        if next(looks_left) in (0, 3):  # wide and light, narrow and dark: each width and each scheme once
            assert chromium.find_faults() == []
            assert not chromium.overflows(), f"{name} is wider than the window"

    chromium.in_each_look(name, check)
    assert chromium.complaints() == []


@needs_chromium
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_a_site_runs_or_breaks_the_page(chromium: Browser, name: str) -> None:
    chromium.show("phone")
    chromium.visit(HOSTILE[name])
    assert not chromium.overflows()
    chromium.run("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    assert "window.ran=1" in chromium.text()
    assert "\u202e" not in chromium.text()
    assert chromium.run("return window.ran") is None
    planted = "main script, main img, main iframe, main style, main base, main meta, main form[action*=invalid]"
    assert chromium.run("return document.querySelectorAll(arguments[0]).length", planted) == 0
    protocols = chromium.run("return [...document.querySelectorAll('a')].map((it) => it.protocol)")
    assert set(protocols) <= {"http:", "https:"}
    assert chromium.complaints() == []
    chromium.show()


@needs_chromium
def test_a_log_grows_on_the_page_that_shows_it(chromium: Browser, looks: Looks) -> None:
    chromium.visit("/log?text=is+archived+in")
    release = "2026-11-22T05:02:03Z"
    looks.hub.add_source("late")
    looks.hub.publish("late", release, documents(3, "late"))
    chromium.wait_for_text(f"late: release {release} is archived in", ".log")
    chromium.visit("/jobs")
    chromium.wait_for_text("late", "#history")


def test_what_is_shown_of_a_long_text_is_bounded(looks: Looks) -> None:
    page = looks.get("/sources/hostile/documents?limit=50").text
    assert len(page) < 600_000
    assert f"{len(LONG):,} characters" in page


def test_the_commands_show_the_same(looks: Looks) -> None:
    run = looks.hub.run
    shown = run("documents", "cells", "--field", "author.name", "--equals", "Ana 3", "--limit", "1", "--json")
    assert json.loads(shown.stdout)["_id"] == "cells_003", shown.stderr
    assert "Ana 3" in run("documents", "cells", "--field", "author.name", "--values").stdout
    assert "author[].name  text" in run("documents", "cells", "--fields").stdout
    assert "changed\n    description: " in run("documents", "cells", "--id", "cells_003", "--history").stdout
    assert "\\u202e" in run("documents", "hostile", "--sample", "--limit", "50").stdout
    assert run("documents", "cells", "--id", "nobody").returncode == 2
    jobs = json.loads(run("jobs", "--source", "refused", "--json").stdout)
    failed = next(job["job"] for job in jobs["ended"] if job["action"] == "upload")
    assert "did not go live" in run("jobs", "--log", failed).stdout
    assert "has ended: failed" in run("jobs", "--stop", failed).stderr


def test_an_order_that_waits_is_seen_and_taken_back(looks: Looks) -> None:
    url = f"{looks.hub.url}/fleet/sources/cells"
    requests.post(f"{url}/crawl", json={"reason": "it is Monday"}, headers=bearer("otto"), timeout=30)
    (waiting,) = looks.json("/fleet/jobs")["orders"]
    assert (waiting["source"], waiting["order"]["by"], waiting["order"]["reason"]) == ("cells", "otto", "it is Monday")
    for outcome in ("done", "nothing to do"):
        answer = requests.post(f"{url}/withdraw", json={"command": "crawl"}, headers=bearer("otto"), timeout=30)
        assert answer.json()["outcome"] == outcome
    assert looks.json("/fleet/jobs")["orders"] == []


@needs_chromium
def test_a_run_under_way_is_followed_line_by_line(chromium: Browser, looks: Looks) -> None:
    morning = Morning(looks.hub)
    morning.run("refused")
    run = looks.json("/fleet/sources/refused/runs/last")
    assert run["outcome"] == "running"
    assert [it["source"] for it in looks.json("/fleet/jobs")["crawls"]] == ["refused"]
    write_log(looks.hub, "refused", "first", run["run"])
    chromium.visit("/sources/refused/runs/last")
    chromium.wait_for_text("first", ".log")
    write_log(looks.hub, "refused", "second \u202e<script>window.ran=1</script>", run["run"])
    chromium.wait_for_text("second \\u202e<script>window.ran=1</script>", ".log")
    assert chromium.run("return window.ran") is None
    morning.end()
