"""What the hub makes of releases: archived by hard links, live in one step, refused with a reason."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import requests
from parsel import Selector

from tests.command import Fleet
from tests.running_hub import FIRST, SECOND, THIRD, RunningHub, documents, wait_for

SOURCES = [
    "goes_live",
    "again",
    "older",
    "strings",
    "hard_link",
    "rejects",
    "over_budget",
    "overtaken",
    "empty",
    "may_be_empty",
    "pipe",
    "together",
    "digits",
    "many",
    "slow",
]


@pytest.fixture(scope="module")
def hub(make_module_hub: Callable[..., RunningHub]) -> Iterator[RunningHub]:
    """One hub for the tests of this module, each with a source of its own; one manifest is bad."""
    hub = make_module_hub()
    for name in SOURCES:
        hub.add_source(name, **({"allow_empty": True} if name == "may_be_empty" else {}))
    hub.add_source("rejects", reject_budget=0.9)
    hub.add_source("digits", reject_budget=1.0)
    hub.add_source("over_budget", reject_budget=0.4)
    hub.add_source("bad", kind="scrappy")
    yield hub.start()


def test_a_published_release_goes_live_by_itself(hub: RunningHub) -> None:
    hub.publish("goes_live", FIRST, documents(3))
    status = hub.wait_until_live("goes_live", FIRST)
    assert (status["published"], status["archived"], status["documents"], status["rejects"]) == (FIRST, FIRST, 3, 0)
    assert hub.live("goes_live") == documents(3)
    hub.publish("goes_live", SECOND, documents(2, title="later"))
    hub.wait_until_live("goes_live", SECOND)
    assert hub.live("goes_live") == documents(2, title="later")


def test_the_same_release_again_is_no_error(hub: RunningHub) -> None:
    hub.publish("again", FIRST, documents(1))
    hub.wait_until_live("again", FIRST)
    for action in ("dump", "upload"):
        answer = hub.act("again", action)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "nothing to do")
        done = hub.run(action, "again")
        assert (done.returncode, done.stderr) == (0, "")


def test_an_older_release_is_refused_visibly_and_never_forced_in(hub: RunningHub) -> None:
    hub.publish("older", SECOND, documents(2))
    hub.wait_until_live("older", SECOND)
    hub.publish("older", FIRST, documents(5))
    status = hub.wait_for_state("older", "dump failed")
    assert FIRST in status["dump"]["reason"]
    assert SECOND in status["dump"]["reason"]
    for _ in range(2):
        refused = hub.run("dump", "older")
        assert refused.returncode == 1
        assert f"{FIRST}, which is not later than {SECOND}" in refused.stderr
    assert hub.live("older") == documents(2)
    assert hub.archived("older") == [SECOND]
    hub.publish("older", THIRD, documents(1))
    hub.wait_until_live("older", THIRD)


@pytest.mark.parametrize("text", ["2026-11-22", "../../x", "2026-11-22T01:02:03", "2026-11-22T01:02:03Z\n/x"])
def test_a_string_that_is_no_release_is_refused_and_the_archive_untouched(hub: RunningHub, text: str) -> None:
    before = sorted(hub.archive.parent.glob("*"))
    hub.publish("strings", text, documents(1))
    reason = wait_for(
        lambda: (
            (dump := hub.status("strings")["dump"]) and repr(text + "\n") in (dump["reason"] or "") and dump["reason"]
        ),
        "the refusal",
    )
    assert "release.txt" in reason
    assert hub.act("strings", "dump").status_code == 409
    assert not (hub.archive / "strings").exists()
    assert sorted(hub.archive.parent.glob("*")) == before


def test_the_archive_shares_the_inode_with_what_was_published(hub: RunningHub) -> None:
    folder = hub.publish("hard_link", FIRST, documents(1))
    hub.wait_until_live("hard_link", FIRST)
    archived = (hub.archive / "hard_link" / FIRST / "data.ndjson").stat()
    assert archived.st_ino == (folder / "data.ndjson").stat().st_ino
    assert archived.st_nlink == 2
    assert not archived.st_mode & 0o222


def test_each_line_is_a_document_or_a_reject_with_its_reason(hub: RunningHub) -> None:
    huge = b'{"_id":"huge","text":"' + b"x" * (17 * 1024 * 1024) + b'"}\n'
    lines = [
        b'{"_id":"one","n":9223372036854775807}\n',
        b'{"_id":"cut off\n',
        b'{"title":"no identifier"}\n',
        b'{"_id":"one","again":true}\n',
        huge,
        b'{"_id":"latin","title":"\xe9"}\n',
        b'{"_id":7}\n',
        b'{"_id":""}\n',
        b"[1]\n",
        b"\n",
        b'{"_id":"wide","n":9223372036854775808}\n',
        b'{"_id":"wider","n":123456789012345678901234567890}\n',
        b'{"_id":"nul","a\\u0000b":1}\n',
        b'{"_id":"deep","a":' + b"[" * 150 + b"]" * 150 + b"}\n",
        b'{"_id":"last","schema:name":"caf\xc3\xa9","n":1.25}',
    ]
    hub.publish("rejects", FIRST, lines)
    status = hub.wait_until_live("rejects", FIRST)
    assert [document["_id"] for document in hub.live("rejects")] == ["last", "one"]
    assert (status["documents"], status["rejects"]) == (2, 13)
    rejects = hub.rejects("rejects", FIRST)
    reasons = {reject["line"]: reject["reason"] for reject in rejects}
    expected = {
        2: "malformed JSON",
        3: "no _id",
        4: "duplicate _id 'one'",
        5: "over 16 MB",
        6: "not UTF-8",
        7: "_id is a number",
        8: "_id is empty",
        9: "not a JSON object but an array",
        10: "an empty line",
        11: "beyond 64 bits",
        12: "beyond 64 bits",
        13: "NUL",
        14: "nested deeper than 100 levels",
    }
    assert sorted(reasons) == sorted(expected)
    for line, reason in expected.items():
        assert re.search(reason, reasons[line], re.IGNORECASE), (line, reasons[line])
    by_line = {reject["line"]: reject for reject in rejects}
    assert by_line[2]["text"] == '{"_id":"cut off'
    assert by_line[6]["base64"] == "eyJfaWQiOiJsYXRpbiIsInRpdGxlIjoi6SJ9"
    assert by_line[2]["file"].endswith(f"rejects/{FIRST}/data.ndjson")


def test_a_long_number_that_fits_is_stored_as_it_is(hub: RunningHub) -> None:
    hub.publish("digits", FIRST, [b'{"_id":"a","n":-9223372036854775808,"f":0.1234567890123456789012}\n'])
    hub.wait_until_live("digits", FIRST)
    assert hub.live("digits") == [{"_id": "a", "n": -(2**63), "f": 0.12345678901234568}]


def test_above_the_reject_budget_the_old_collection_stays(hub: RunningHub) -> None:
    hub.publish("over_budget", FIRST, documents(5))
    hub.wait_until_live("over_budget", FIRST)
    hub.publish("over_budget", SECOND, [b'{"_id":"a"}\n', b"{\n", b'{"_id":"b"}\n', b"{\n"])
    status = hub.wait_for_state("over_budget", "upload failed")
    assert "2 of 4 lines were rejected" in status["upload"]["reason"]
    assert "malformed JSON" in status["upload"]["reason"]
    assert (status["archived"], status["live"], status["documents"]) == (SECOND, FIRST, 5)
    assert hub.live("over_budget") == documents(5)
    refused = hub.run("upload", "over_budget", "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "2 of 4 lines were rejected" in refused.stderr
    assert not [name for name in hub.collections() if "loading" in name]
    assert (
        hub.run("mark", "over_budget", "upload").stdout
        == "over_budget: the failure of release 2026-11-22T02:02:03Z counts as settled\n"
    )
    assert hub.status("over_budget")["upload"]["status"] == "success"
    assert "nothing to do" in hub.run("mark", "over_budget", "upload").stdout


def test_a_release_archived_while_the_one_before_fails_is_loaded_all_the_same(hub: RunningHub) -> None:
    hub.publish("overtaken", FIRST, [*documents(15_000), *[b"{\n"] * 15_000])
    wait_for(lambda: hub.status("overtaken")["state"] == "uploading", "the upload to be under way")
    later = hub.archive / "overtaken" / ".later"
    later.mkdir()
    (later / "data.ndjson").write_bytes(b'{"_id":"later"}\n')
    later.rename(hub.archive / "overtaken" / SECOND)
    wait_for(lambda: hub.status("overtaken")["live"] == SECOND, "the later release to be live")
    assert "15000 of 30000 lines were rejected" in hub.log.read_text()
    assert hub.live("overtaken") == [{"_id": "later"}]


def test_an_empty_release_goes_live_only_where_the_manifest_allows_it(hub: RunningHub) -> None:
    for name in ("empty", "may_be_empty"):
        hub.publish(name, FIRST, documents(2))
        hub.wait_until_live(name, FIRST)
        hub.publish(name, SECOND, [])
    assert "allow_empty" in hub.wait_for_state("empty", "upload failed")["upload"]["reason"]
    assert hub.live("empty") == documents(2)
    hub.wait_until_live("may_be_empty", SECOND)
    assert hub.live("may_be_empty") == []


@pytest.mark.parametrize("kind", ["pipe", "symlink"])
def test_data_that_is_no_plain_file_is_refused(hub: RunningHub, kind: str) -> None:
    folder = hub.publish("pipe", {"pipe": FIRST, "symlink": SECOND}[kind], documents(1))
    (folder / "data.ndjson").unlink()
    if kind == "pipe":
        os.mkfifo(folder / "data.ndjson")
    else:
        (folder / "data.ndjson").symlink_to("/etc/hostname")
    # Asked again: a dump may have been under way before the file was put there.
    wait_for(lambda: "is no plain file" in hub.act("pipe", "dump").json()["reason"], "the refusal")
    assert "is no plain file" in hub.wait_for_state("pipe", "dump failed")["dump"]["reason"]
    assert hub.status("pipe")["archived"] is None


def test_two_uploads_asked_for_at_once_are_one(hub: RunningHub) -> None:
    hub.publish("together", FIRST, documents(3000))
    hub.wait_until_live("together", FIRST)
    went_live = f"together: release {FIRST} is live"
    before = hub.log.read_text().count(went_live)
    answers: list[requests.Response] = []

    def ask() -> None:
        url = f"{hub.url}/fleet/sources/together/upload?force=1"
        answers.append(requests.post(url, auth=hub.auth, timeout=120))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [answer.json()["documents"] for answer in answers] == [3000] * 4
    assert len(hub.live("together")) == 3000
    assert hub.log.read_text().count(went_live) == before + 1
    wait_for(lambda: not [name for name in hub.collections() if "loading" in name], "no collection to be left behind")


def test_a_bad_manifest_is_told_and_hides_no_other(hub: RunningHub) -> None:
    status = hub.status("bad")
    assert status["state"] == "faulty"
    assert re.search(r"bad/source\.toml:\d+: .*scrappy", status["fault"])
    assert hub.status("goes_live")["state"] != "faulty"
    assert hub.act("bad", "dump").status_code == 404


def test_the_command_tells_how_the_hub_is_set_up_and_of_a_job_that_there_is_none_of(hub: RunningHub) -> None:
    assert f"port = {hub.port}\n" in hub.run("configuration").stdout
    told = json.loads(hub.run("configuration", "--json").stdout)
    assert {"name": "port", "value": str(hub.port), "of": "hub"} in told
    for option in ("--log", "--stop"):
        unknown = hub.run("jobs", option, "no/../such job")
        assert unknown.returncode == 2
        assert "no job is called" in unknown.stderr


def test_an_unknown_source_is_told_with_the_nearest_name(hub: RunningHub) -> None:
    unknown = hub.run("dump", "goes_liv")
    assert unknown.returncode == 2
    assert "Did you mean 'goes_live'?" in unknown.stderr


def test_status_is_a_list_of_all_sources(hub: RunningHub) -> None:
    answer = hub.run("status", "--json")
    assert answer.returncode == 0
    sources = json.loads(answer.stdout)
    assert [source["name"] for source in sources] == sorted([*SOURCES, "bad"])
    assert {"name", "published", "archived", "live", "documents", "rejects", "state"} <= set(sources[0])
    table = hub.run("status")
    assert table.returncode == 0
    assert "goes_live" in table.stdout
    assert "scrappy" in table.stdout


def test_a_crawl_under_way_is_told_by_page_status_and_jobs(hub: RunningHub, tmp_path: Path) -> None:
    goes_on = tmp_path / "goes_on"
    goes_on.touch()
    code = f"""
        import pathlib, time

        def parse(api):
            for number in range(40):
                while number == 10 and not pathlib.Path({str(goes_on)!r}).exists():
                    time.sleep(0.05)
                yield {{"_id": f"{{number:03}}", "url": f"http://site.invalid/{{number}}"}}
    """
    fleet = Fleet(hub.sources, hub.shared)
    (hub.sources / "slow" / "harvester.py").write_text(dedent(code))
    assert fleet.run("crawl", "slow").returncode == 0
    goes_on.unlink()
    crawl = fleet.start("crawl", "slow")
    try:
        standing = wait_for(
            lambda: (it := hub.status("slow")["standing"])["progress"].startswith("25%") and it, "the crawl to be told"
        )
        assert (standing["state"], standing["progress"]) == ("running", "25%, 10 of 40 records")
        assert "25%, 10 of 40 records" in hub.run("status").stdout
        jobs = next(line for line in hub.run("jobs").stdout.splitlines() if line.startswith("crawl"))
        assert "slow" in jobs and "25%, 10 records" in jobs
        page = Selector(
            requests.get(f"{hub.url}/sources/slow", auth=hub.auth, headers={"Accept": "text/html"}, timeout=30).text
        )
        assert "25 % · 10 of 40 records" in " ".join(" ".join(page.css("#steps .progress ::text").getall()).split())
        rows = Selector(requests.get(hub.url, auth=hub.auth, headers={"Accept": "text/html"}, timeout=30).text)
        assert rows.css("#row-slow .f-next small::text").get() == "25%, 10 of 40 records"
    finally:
        goes_on.touch()
        _, err = crawl.communicate(timeout=60)
    assert crawl.returncode == 0, err
    assert hub.status("slow")["standing"]["progress"] == ""
