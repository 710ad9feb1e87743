"""The hub as a process: killed and started again, stopped, refused to start, and beside another one."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from hub.embedded import EmbeddedDatabase
from hub.settings import HubSettings
from tests.running_hub import FIRST, SECOND, RunningHub, documents, free_port, wait_for

MakeHub = Callable[..., RunningHub]
MANY = 15_000


def _loading(hub: RunningHub) -> str | None:
    """The collection that is being loaded, once there is something in it."""
    assert hub.client
    database = hub.client[hub.database]
    return next((name for name in hub.collections() if ".loading." in name and database[name].find_one()), None)


def test_a_hub_killed_in_an_upload_starts_at_once_and_takes_it_up_again(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    hub.publish("site", FIRST, documents(10))
    hub.wait_until_live("site", FIRST)
    hub.publish("site", SECOND, documents(MANY, title="second"))
    cut_off = wait_for(lambda: _loading(hub), "the upload to be under way")
    assert hub.stop(signal.SIGKILL) == -signal.SIGKILL  # and no worker is left behind
    assert hub.live("site") == documents(10)
    hub.start()  # on the same port, at once
    status = hub.wait_until_live("site", SECOND)
    assert status["documents"] == MANY
    assert hub.client
    assert hub.client[hub.database]["site"].count_documents({"title": "second"}) == MANY
    assert cut_off not in hub.collections()
    assert hub.collections() == ["site"]


def test_a_worker_killed_in_an_upload_is_told_and_the_next_upload_works(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    hub.publish("site", FIRST, documents(10))
    hub.wait_until_live("site", FIRST)
    hub.publish("site", SECOND, documents(MANY))
    wait_for(lambda: _loading(hub), "the upload to be under way")
    assert hub.process
    for worker in psutil.Process(hub.process.pid).children():
        worker.kill()
    status = hub.wait_for_state("site", "upload failed")
    assert "worker process was killed" in status["upload"]["reason"]
    assert hub.live("site") == documents(10)
    assert hub.run("upload", "site").returncode == 0
    assert hub.status("site")["documents"] == MANY
    assert hub.collections() == ["site"]


def test_a_hub_told_to_stop_in_an_upload_leaves_nothing_running_and_the_old_release_live(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    hub.publish("site", FIRST, documents(10))
    hub.wait_until_live("site", FIRST)
    hub.publish("site", SECOND, documents(MANY))
    wait_for(lambda: _loading(hub), "the upload to be under way")
    assert hub.stop(signal.SIGINT) == 0
    assert hub.live("site") == documents(10)


def test_a_collection_that_lost_documents_is_loaded_again_at_the_next_start(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.start()
    hub.publish("site", FIRST, documents(5))
    hub.wait_until_live("site", FIRST)
    hub.stop()
    assert hub.client
    hub.client[hub.database]["site"].delete_one({"_id": "site_3"})
    hub.start()
    wait_for(lambda: len(hub.live("site")) == 5, "the collection to be whole again")


def test_a_taken_port_is_told_with_the_setting_that_names_it(make_hub: MakeHub) -> None:
    hub = make_hub()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", hub.port))
        taken.listen()
        refused = hub.run("hub")
    assert refused.returncode == 2
    assert "FLEET_HUB_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_second_hub_on_the_same_data_is_refused(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    hub.environment["FLEET_HUB_PORT"] = str(free_port())
    refused = hub.run("hub")
    assert refused.returncode == 3
    assert "FLEET_DATA_DIR" in refused.stderr


def test_two_hubs_on_data_of_their_own_run_side_by_side(make_hub: MakeHub) -> None:
    one, other = make_hub(), make_hub()
    for hub in (one, other):
        hub.add_source("site")
        hub.start()
    one.publish("site", FIRST, documents(1))
    one.wait_until_live("site", FIRST)
    assert other.status("site")["live"] is None


def test_without_the_hub_status_tells_what_the_files_tell_and_exits_with_6(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("site")
    hub.publish("site", FIRST, documents(1))
    answer = hub.run("status", "--json")
    assert answer.returncode == 6
    assert "the hub does not answer" in answer.stderr
    (status,) = json.loads(answer.stdout)
    assert (status["published"], status["archived"], status["live"]) == (FIRST, None, None)
    for action in ("dump", "upload"):
        assert hub.run(action, "site").returncode == 6


def test_a_package_of_the_source_wins_over_the_generated_classes(make_hub: MakeHub, tmp_path: Path) -> None:
    package = tmp_path / "hub_sources" / "site"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        textwrap.dedent(
            """
            from hub.dataload import uploader

            class SiteUploader(uploader.SourceUploader):
                name = "site"

                def transform(self, document):
                    return {**document, "title": document["title"].upper()}
            """
        )
    )
    broken = package.with_name("broken")
    broken.mkdir()
    (broken / "__init__.py").write_text("import no_such_module\n")
    hub = make_hub(FLEET_HUB_SOURCES_DIR=str(package.parent))
    for name in ("site", "broken", "plain"):
        hub.add_source(name, reject_budget=0.5)
    hub.start()
    hub.publish("site", FIRST, [{"_id": "a", "title": "low"}, {"_id": "b"}])
    hub.publish("plain", FIRST, [{"_id": "a", "title": "low"}])
    hub.wait_until_live("site", FIRST)
    assert hub.live("site") == [{"_id": "a", "title": "LOW"}]
    assert "KeyError: 'title'" in hub.rejects("site", FIRST)[0]["reason"]
    hub.wait_until_live("plain", FIRST)
    assert hub.live("plain") == [{"_id": "a", "title": "low"}]
    assert "no_such_module" in hub.status("broken")["fault"]


def test_sources_come_change_and_go_while_the_hub_runs(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.add_source("first")
    hub.start()
    hub.publish("second", FIRST, documents(3, "second"))
    hub.add_source("second", rate=-1)
    wait_for(lambda: "rate" in (_find(hub, "second") or {"fault": ""})["fault"], "the bad manifest to be told")
    hub.add_source("second")
    hub.wait_until_live("second", FIRST)
    hub.publish("second", SECOND, [b"{}\n"] * 9 + [b'{"_id": "one"}\n'])
    assert "above the budget" in hub.wait_for_state("second", "upload failed")["upload"]["reason"]
    hub.add_source("second", reject_budget=0.9)
    wait_for(lambda: hub.act("second", "upload").ok, "the larger budget to count")
    assert hub.live("second") == [{"_id": "one"}]
    (hub.sources / "second" / "source.toml").unlink()
    wait_for(lambda: _find(hub, "second") is None, "the source to be gone")
    assert hub.act("second", "dump").status_code == 404
    assert _find(hub, "first") is not None


def _find(hub: RunningHub, name: str) -> dict[str, Any] | None:
    sources = requests.get(f"{hub.url}/fleet/status", timeout=30).json()
    return next((source for source in sources if source["name"] == name), None)


def _processes_of(hub: RunningHub) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(hub.data) in " ".join(process.info["cmdline"] or [])
    ]


def test_the_embedded_database_asks_for_a_password_and_ends_with_a_killed_hub(tmp_path: Path) -> None:
    port = free_port()
    hub = RunningHub(tmp_path, None, "fleet", FLEET_MONGO_PORT=str(port))
    hub.add_source("site")
    hub.start()
    try:
        hub.publish("site", FIRST, documents(3))
        hub.wait_until_live("site", FIRST)
        with (
            MongoClient("127.0.0.1", port) as stranger,
            pytest.raises(OperationFailure, match="requires authentication"),
        ):
            stranger["fleet"]["site"].find_one()
        password = hub.data / "mongodb" / "password"
        assert password.stat().st_mode & 0o077 == 0
        hub.stop(signal.SIGKILL)
        hub.start()  # goes on with the same data; the database of the killed hub is waited for
        hub.wait_until_live("site", FIRST)
        with MongoClient(HubSettings.from_environment(hub.environment).database_uri()) as client:
            assert client["fleet"]["site"].count_documents({}) == 3
    finally:
        hub.stop()
    assert _processes_of(hub) == []


def test_a_taken_port_of_the_embedded_database_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        hub = RunningHub(tmp_path, None, "fleet", FLEET_MONGO_PORT=str(taken.getsockname()[1]))
        refused = hub.run("hub")
    assert refused.returncode == 2
    assert "FLEET_MONGO_PORT" in refused.stderr


def test_fleet_up_brings_the_demonstration_live_and_ends_all_that_it_started(tmp_path: Path) -> None:
    hub = RunningHub(tmp_path, None, "fleet", FLEET_MONGO_PORT=str(free_port()))
    del hub.environment["FLEET_SOURCES_DIR"]
    for _ in range(2):  # the second goes on with the data of the first
        with subprocess.Popen(
            [sys.executable, "-m", "fleet", "up"],
            env=hub.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as up:
            assert up.stdout
            said = []
            for line in up.stdout:
                said.append(line)
                if "Stop with Ctrl-C" in line:
                    break
            assert hub.url in "".join(said)
            assert hub.status("demo")["documents"] >= 100
            assert f"{hub.status('demo')['documents']} documents" in "".join(said)
            again = hub.run("up")
            assert again.returncode == 3
            assert hub.run("order", "demo").returncode == 0
            wait_for(lambda: hub.status("demo")["standing"]["outcome"] == "unchanged", "the order to be carried out")
            os.killpg(up.pid, signal.SIGINT)
            up.stdout.read()
            assert up.wait() == 0
        assert _processes_of(hub) == []
    assert len(hub.archived("demo")) == 1


def test_a_hub_whose_database_goes_away_answers_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    environment = {"FLEET_DATA_DIR": str(tmp_path / "database"), "FLEET_MONGO_PORT": str(free_port())}
    settings = HubSettings.from_environment(environment)
    with EmbeddedDatabase(settings) as database:
        hub = RunningHub(tmp_path / "hub", f"{settings.database_uri()}&serverSelectionTimeoutMS=300", "fleet")
        hub.add_source("site")
        hub.start()
        try:
            hub.publish("site", FIRST, documents(3))
            hub.wait_until_live("site", FIRST)
            database.stop()
            uploaded = hub.act("site", "upload")
            assert (uploaded.status_code, uploaded.json()["outcome"]) == (409, "failed")
            assert "the database can't be used" in uploaded.json()["reason"]
            for path in ("/fleet/status", "/fleet/jobs/history"):
                answer = requests.get(hub.url + path, timeout=30)
                assert answer.status_code == 503
                assert "the database can't be used" in answer.json()["error"]
            page = requests.get(hub.url, headers={"Accept": "text/html"}, timeout=30)
            assert "The database can’t be used" in page.text
            hub.publish("site", SECOND, documents(5))
            with database:
                hub.wait_until_live("site", SECOND)
                assert hub.live("site") == documents(5)
                assert hub.stop() == 0
        finally:
            hub.stop()
            assert hub.client
            hub.client.close()


def test_an_embedded_database_that_does_not_end_with_its_killed_hub_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.embedded._ORPHAN_END_SECONDS", 0.2)
    environment = {"FLEET_DATA_DIR": str(tmp_path), "FLEET_MONGO_PORT": str(free_port())}
    settings = HubSettings.from_environment(environment)
    folder = settings.mongodb_dir
    folder.mkdir(parents=True)
    sleeper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", str(folder / "data")])
    reaper = threading.Thread(target=sleeper.wait)  # as init does with what a killed hub leaves behind
    reaper.start()
    (folder / "pid").write_text(str(sleeper.pid))
    try:
        with EmbeddedDatabase(settings):
            assert sleeper.returncode == -signal.SIGKILL
            # It does not end if it is told to while it still starts.
            with MongoClient(settings.database_uri()) as client:
                client.admin.command("ping")
    finally:
        sleeper.kill()
        reaper.join()
