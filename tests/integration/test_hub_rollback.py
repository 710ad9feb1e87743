"""Rolled back, pinned, unpinned, cleared away, compared: each through the real hub and database, and seen in its status."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from crawlers.runtime.release import format_release
from tests.running_hub import FIRST, SECOND, THIRD, RunningHub, documents, wait_for

MakeHub = Callable[..., RunningHub]
FOURTH = "2026-11-22T04:02:03Z"
SOURCES = ["rolled", "pinned", "refused", "kept", "born", "foreign", "compared", "gone"]
MANY = 4_000


@pytest.fixture(scope="module")
def hub(make_module_hub: MakeHub) -> Iterator[RunningHub]:
    """One hub for the tests of this module, each with a source of its own."""
    hub = make_module_hub()
    for name in SOURCES:
        hub.add_source(name)
    hub.add_source("kept", archive={"keep": 2, "keep_days": 0})
    yield hub.start()


def _publish(hub: RunningHub, name: str, release: str, records: list[Any]) -> None:
    hub.publish(name, release, records)
    hub.wait_until_live(name, release)


def test_rolled_back_a_release_is_live_and_pinned_until_it_is_unpinned(hub: RunningHub) -> None:
    for number, release in enumerate((FIRST, SECOND, THIRD), start=1):
        _publish(hub, "rolled", release, documents(number))
    done = hub.run("rollback", "rolled", FIRST, "--reason", "two too many")
    assert (done.returncode, done.stdout) == (0, f"rolled: {FIRST} is live and pinned\n")
    assert hub.live("rolled") == documents(1)
    status = hub.status("rolled")
    assert (status["state"], status["live"], status["archived"]) == ("pinned", FIRST, THIRD)
    assert (status["pinned"]["release"], status["pinned"]["reason"]) == (FIRST, "two too many")
    assert status["pinned"]["by"]
    assert datetime.now(UTC) - datetime.fromisoformat(status["pinned"]["since"]) < timedelta(minutes=5)
    table = hub.run("status").stdout
    assert f"rolled: pinned to {FIRST} since " in table
    assert "two too many" in table
    assert "fleet unpin rolled" in table

    hub.publish("rolled", FOURTH, documents(4))
    assert hub.wait_for_changes("rolled", FOURTH)["against"] == THIRD
    hub.wait_for_state("rolled", "pinned")
    assert hub.live("rolled") == documents(1)

    back = hub.run("unpin", "rolled")
    assert (back.returncode, back.stdout) == (0, f"rolled: unpinned, {FOURTH} is live\n")
    assert hub.live("rolled") == documents(4)
    assert hub.status("rolled")["pinned"] is None
    assert hub.run("unpin", "rolled").stdout == "rolled: nothing to do, it is not pinned\n"


def test_what_is_live_can_be_pinned_and_a_newer_release_waits(hub: RunningHub) -> None:
    assert hub.run("pin", "pinned").returncode == 1  # nothing is live
    _publish(hub, "pinned", FIRST, documents(1))
    done = hub.run("pin", "pinned", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["release"] == FIRST
    hub.publish("pinned", SECOND, documents(2))
    hub.wait_for_changes("pinned", SECOND)
    hub.wait_for_state("pinned", "pinned")
    assert hub.live("pinned") == documents(1)
    shown = hub.run("releases", "pinned")
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert rows[FIRST][-2:] == ["live", "pinned"]
    assert rows[SECOND][-1] == "0"  # changed, and no mark
    assert hub.act("pinned", "upload").json()["outcome"] == "nothing to do"
    assert hub.act("pinned", "unpin").json()["release"] == SECOND
    assert hub.live("pinned") == documents(2)


def test_what_can_not_be_rolled_back_is_told_and_pins_nothing(hub: RunningHub) -> None:
    _publish(hub, "refused", SECOND, documents(1))
    for release in (FIRST, "../pinned"):
        refused = hub.act("refused", "rollback", release=release)
        assert refused.status_code == 404
        assert repr(release) in refused.json()["error"]
    assert hub.act("refused", "rollback", release="").status_code == 400
    told = hub.run("rollback", "refused", "2026-11-22T02:02:04Z")
    assert told.returncode == 2
    assert f"Did you mean '{SECOND}'?" in told.stderr
    assert hub.run("rollback", "refusd", SECOND).returncode == 2
    assert hub.status("refused")["state"] == "live"


def test_a_pin_whose_release_was_removed_by_hand_leaves_what_is_live_and_is_told(hub: RunningHub) -> None:
    _publish(hub, "gone", FIRST, documents(1))
    _publish(hub, "gone", SECOND, documents(2))
    assert hub.act("gone", "rollback", release=FIRST).status_code == 200
    (hub.archive / "gone" / FIRST).rename(hub.archive / "taken away")
    status = hub.wait_for_state("gone", "faulty")
    assert "fleet unpin gone" in status["fault"]
    assert hub.live("gone") == documents(1)
    assert hub.act("gone", "unpin").status_code == 200
    hub.wait_until_live("gone", SECOND)


def test_old_releases_go_after_each_upload_but_never_what_is_live_pinned_or_newest(hub: RunningHub) -> None:
    now = datetime.now(UTC)
    releases = [format_release(now - timedelta(days=days)) for days in (9, 8, 7, 6, 5)]
    for release in releases[:2]:
        _publish(hub, "kept", release, documents(1))
    assert hub.act("kept", "rollback", release=releases[0], reason="the best").status_code == 200
    for release in releases[2:]:
        hub.publish("kept", release, documents(1))
        hub.wait_for_changes("kept", release)
    wait_for(lambda: hub.archived("kept") == [releases[0], *releases[3:]], "the old ones to go, but the pinned")
    assert hub.live("kept") == documents(1)

    listed = hub.run("clean", "--all", "--dry-run")
    assert (listed.returncode, listed.stdout) == (0, "nothing to remove\n")
    pin = hub.archive / "kept" / "books" / "pin.json"
    pin.rename(pin.with_name("lifted"))  # as unpin would, but the hub does not yet know
    wait_for(lambda: hub.status("kept")["live"] == releases[4], "the newest to go live")
    wait_for(lambda: hub.archived("kept") == releases[3:], "what was pinned to go after it")
    assert {it["release"] for it in requests.get(f"{hub.url}/fleet/sources/kept/releases", timeout=30).json()} == set(
        releases[3:]
    )


def test_each_document_tells_where_it_comes_from_and_when_it_was_seen(hub: RunningHub) -> None:
    first = [
        {"_id": "born_1", "url": "https://example.org/1", "_meta": {"url": "https://api.example.org/1", "score": 0.5}},
        {"_id": "born_2", "url": ["https://example.org/2", "https://example.org/two"]},
        {"_id": "born_3", "_meta": "a word of its own"},
    ]
    _publish(hub, "born", FIRST, first)
    told = {"source": "born", "release": FIRST, "first_seen": FIRST, "last_seen": FIRST}
    assert hub.provenance("born") == {
        "born_1": {**told, "url": "https://api.example.org/1", "score": 0.5},
        "born_2": {**told, "url": "https://example.org/2"},
        "born_3": {**told, "url": None, "value": "a word of its own"},
    }
    _publish(hub, "born", SECOND, [first[0], {"_id": "born_4"}])  # 2 and 3 vanish
    _publish(hub, "born", THIRD, [first[0], first[1]])  # 2 comes back, 4 vanishes
    seen = {key: (meta["first_seen"], meta["last_seen"]) for key, meta in hub.provenance("born").items()}
    assert seen == {"born_1": (FIRST, THIRD), "born_2": (FIRST, THIRD)}

    assert hub.act("born", "rollback", release=SECOND).status_code == 200
    metas = hub.provenance("born")
    assert {meta["release"] for meta in metas.values()} == {SECOND}
    seen = {key: (meta["first_seen"], meta["last_seen"]) for key, meta in metas.items()}
    assert seen == {"born_1": (FIRST, THIRD), "born_4": (SECOND, SECOND)}
    assert (hub.archive / "born" / FIRST / "data.ndjson").read_bytes().splitlines()[2] == (
        b'{"_id":"born_3","_meta":"a word of its own"}'
    )


def test_a_foreign_release_in_no_order_and_with_bad_lines_is_compared_and_its_records_are_dated(
    hub: RunningHub,
) -> None:
    hub.add_source("foreign", reject_budget=0.9)
    _publish(hub, "foreign", FIRST, [b'{"_id":"b"}\n', b'{"_id":"a"}\n', b"no record\n", b'{"_id":"b","again":1}\n'])
    _publish(hub, "foreign", SECOND, [b'{"_id":"c"}\n', b'{"_id":\n', b'{"_id":"a","x":1}\n', b'{"_id":"b"}'])
    changes = hub.wait_for_changes("foreign", SECOND)
    assert {key: changes[key] for key in ("added", "removed", "changed", "unchanged", "records", "malformed")} == {
        "added": 1,
        "removed": 0,
        "changed": 1,
        "unchanged": 1,
        "records": 3,
        "malformed": 1,
    }
    assert changes["paths"] == {"x": 1}
    assert {key: meta["first_seen"] for key, meta in hub.provenance("foreign").items()} == {
        "a": FIRST,
        "b": FIRST,
        "c": SECOND,
    }


def test_two_releases_are_compared_with_and_without_the_hub(hub: RunningHub) -> None:
    old = [{"_id": "compared_1", "author": [{"name": "A"}, {"name": "B"}]}, {"_id": "compared_2"}]
    new = [{"_id": "compared_1", "author": [{"name": "A"}, {"name": "C"}]}, {"_id": "compared_3"}]
    _publish(hub, "compared", FIRST, old)
    _publish(hub, "compared", SECOND, new)
    shown = hub.run("diff", "compared", "--examples", "2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        f"compared, from {FIRST} to {SECOND}: 1 added, 1 removed, 1 changed, 0 unchanged",
        "         1  author[].name",
        "+ compared_3",
        "- compared_2",
        "~ compared_1: author[].name",
        '    author[1].name: "B" → "C"',
    ]
    told = json.loads(hub.run("diff", "compared", FIRST, "live", "--json", "--examples", "2").stdout)
    url = f"{hub.url}/fleet/sources/compared/diff"
    assert requests.get(url, params={"from": FIRST, "to": "live", "examples": "2"}, timeout=30).json() == told
    assert (told["added"], told["paths"]) == (1, {"author[].name": 1})
    backward = json.loads(hub.run("diff", "compared", "published", FIRST, "--json").stdout)
    assert (backward["from"]["release"], backward["to"]["release"]) == (SECOND, FIRST)
    held = hub.run("diff", "compared", "live", "held")
    assert held.returncode == 2
    assert "no release is held" in held.stderr
    folder = hub.shared / "compared_crawled" / "held"
    folder.mkdir()
    (folder / "data.ndjson").write_bytes(b'{"_id":"compared_3"}\n')
    (folder / "release.txt").write_text(THIRD)
    held = json.loads(hub.run("diff", "compared", "live", "held", "--json").stdout)
    assert (held["to"]["release"], held["removed"], held["unchanged"]) == (THIRD, 1, 1)
    for query, status in (({"from": FIRST}, 404), ({"examples": "many"}, 400), ({"from": FIRST, "to": "../x"}, 404)):
        assert requests.get(url, params=query, timeout=30).status_code == status


def test_a_hub_killed_in_a_rollback_brings_it_about_at_its_next_start(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    _publish(hub, "site", FIRST, documents(MANY, title="first"))
    _publish(hub, "site", SECOND, documents(10))
    with pytest.raises(requests.ConnectionError):
        _kill_when(hub, lambda: any(".loading." in name for name in hub.collections()), FIRST)
    assert hub.live("site") == documents(10)
    without = hub.run("releases", "site", "--json")
    assert without.returncode == 6
    assert [it["pinned"] for it in json.loads(without.stdout)] == [False, True]
    assert hub.run("diff", "site").returncode == 0
    hub.start()
    hub.wait_for_state("site", "pinned")
    assert hub.client
    assert hub.client[hub.database]["site"].count_documents({"title": "first"}) == MANY
    assert hub.status("site")["live"] == FIRST
    assert hub.collections() == ["site"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hub_killed_again_and_again_while_it_goes_back_and_forth_ends_where_it_was_told_to(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    _publish(hub, "site", FIRST, documents(1_000, title=FIRST))
    _publish(hub, "site", SECOND, documents(1_500, title=SECOND))
    chance = random.Random(20261122)
    for round_number in range(20):
        action, release = ("rollback", FIRST) if round_number % 2 == 0 else ("unpin", SECOND)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(hub.act, "site", action, release=release)
            time.sleep(chance.uniform(0, 2))  # any moment will do
            hub.stop(signal.SIGKILL)
            with suppress(requests.ConnectionError):
                asked.result()
        pin = hub.archive / "site" / "books" / "pin.json"
        wanted = FIRST if pin.exists() else SECOND
        titles = {document["title"] for document in hub.live("site")}
        assert len(titles) == 1  # one release, whole
        assert len(hub.live("site")) == (1_000 if titles == {FIRST} else 1_500)
        hub.start()
        status = wait_for(
            lambda wanted=wanted: (
                (it := hub.status("site"))["live"] == wanted and it["state"] in ("live", "pinned") and it
            ),
            f"{wanted} to be live",
        )
        assert (status["pinned"] is not None) == (wanted == FIRST)
        assert {document["title"] for document in hub.live("site")} == {wanted}


def _kill_when(hub: RunningHub, condition: Callable[[], bool], release: str) -> None:
    """Kill the hub once ``condition`` is true while it rolls back."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(hub.act, "site", "rollback", release=release)
        wait_for(condition, "the rollback to load")
        hub.stop(signal.SIGKILL)
        asked.result()
