"""A real hub that tells people: a webhook over HTTP and a mail server, both of the test's own, take what it sends."""

import json
import signal
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.command import Fleet, toml_value
from tests.running_hub import FIRST, RunningHub, free_port, wait_for

MakeHub = Callable[..., RunningHub]
RUN = {"release": FIRST, "started": FIRST, "ended": FIRST, "exit_code": 1}


class Webhook(ThreadingHTTPServer):
    """``taken``: what was posted, as long as it doesn't refuse."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WebhookHandler)
        self.taken: list[dict[str, Any]] = []
        self.refused = 0
        self.refuses = False

    @property
    def titles(self) -> list[str]:
        return [it["title"].removeprefix("Crawler Fleet: ") for it in self.taken]


class WebhookHandler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.refused += self.server.refuses
        self.send_response(503 if self.server.refuses else 200)
        self.end_headers()
        if not self.server.refuses:
            self.server.taken.append(json.loads(body))

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Mailbox:
    """Takes mail. ``taken``: sender, receivers and message of each."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], EmailMessage]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append((str(envelope.mail_from), [str(it) for it in envelope.rcpt_tos], message))
        return "250 taken"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """A mail server, and its port."""
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def write_alerts(path: Path, *channels: dict[str, Any], **settings: Any) -> Path:
    settings = {"settle_minutes": 0, "look_seconds": 0.2, **settings, "channels": list(channels)}
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in settings.items()))
    return path


def _toml(value: Any) -> str:
    return f"[{', '.join(map(toml_value, value))}]" if isinstance(value, list) else toml_value(value)


def end_run(hub: RunningHub, name: str, number: int, outcome: str, message: str = "") -> None:
    """As a crawl ends: what it says of itself, and its line in the history."""
    folder = hub.shared / f"{name}_crawled"
    folder.mkdir(exist_ok=True)
    line = json.dumps({"source": name, **RUN, "run": f"run-{number}", "outcome": outcome, "message": message})
    with (folder / "history.ndjson").open("a") as file:
        file.write(f"{line}\n")
    (folder / ".last-run.new").write_text(line)
    (folder / ".last-run.new").replace(folder / "last-run.json")


def looks(hub: RunningHub, count: int = 2) -> None:
    """Wait for so many looks of the alerts: each writes what they remember."""
    path = hub.data / "alerts/memory.json"
    for _ in range(count):
        before = path.stat().st_ino if path.exists() else 0
        wait_for(lambda before=before: path.exists() and path.stat().st_ino != before, "a look of the alerts")


def test_twenty_failing_runs_are_one_message_recovery_is_one_and_a_restart_repeats_none(
    make_hub: MakeHub, webhook: Webhook, mailbox: tuple[Mailbox, int], tmp_path: Path
) -> None:
    box, port = mailbox
    (tmp_path / "mail.url").write_text(
        f"mailto://127.0.0.1:{port}/?from=fleet@example.org&to=ops@example.org&mode=insecure\n"
    )
    alerts = write_alerts(
        tmp_path / "alerts.toml",
        {"name": "mail", "url_file": "mail.url"},
        {"name": "hook", "url_variable": "THE_HOOK"},
        link="https://fleet.example.org",
        leave_out=["ignored"],
        disk_free_percent=0,
    )
    hub = make_hub(FLEET_ALERTS_FILE=str(alerts), THE_HOOK=f"json://127.0.0.1:{webhook.server_port}/")
    for name in ("site", "ignored", "other"):
        hub.add_source(name, schedule={"kind": "adaptive", "expected_hours": 87_000})
    end_run(hub, "site", 0, "published")
    hub.start()
    looks(hub)
    for number in range(1, 21):
        end_run(hub, "site", number, "failed", "the site is <b>down</b>\nand more")
        end_run(hub, "ignored", number, "failed")
        if number in (1, 10):
            looks(hub)
    hub.stop(signal.SIGKILL)
    hub.start()
    looks(hub)
    assert webhook.titles == ["source site is failing"]
    assert webhook.taken[0]["type"] == "failure"
    assert ": failed: the site is <b>down</b>; last collected: " in webhook.taken[0]["message"]
    assert webhook.taken[0]["message"].endswith(" https://fleet.example.org/sources/site")
    end_run(hub, "site", 21, "unchanged")
    looks(hub, 3)
    assert webhook.titles == ["source site is failing", "source site is well again"]
    assert webhook.taken[1]["type"] == "success"
    assert webhook.taken[1]["message"].startswith("source site is well again: due since 20")
    subjects = [str(message["Subject"]) for _, _, message in box.taken]
    assert subjects == [f"Crawler Fleet: {title}" for title in webhook.titles]
    sender, receivers, message = box.taken[0]
    assert (sender, receivers) == ("fleet@example.org", ["ops@example.org"])
    body = message.get_body()
    assert body and body.get_content_type() == "text/plain"
    assert " the site is <b>down</b>; last " in body.get_content()


def test_what_can_not_be_sent_is_kept_over_a_restart_and_tried_again(
    make_hub: MakeHub, webhook: Webhook, tmp_path: Path
) -> None:
    alerts = write_alerts(tmp_path / "alerts.toml", {"name": "hook", "url": f"json://127.0.0.1:{webhook.server_port}/"})
    hub = make_hub(FLEET_ALERTS_FILE=str(alerts))
    hub.add_source("site")
    webhook.refuses = True
    end_run(hub, "site", 1, "failed")
    hub.start()
    wait_for(lambda: webhook.refused, "a first try")
    looks(hub, 1)
    waiting = json.loads(hub.run("alert", "--json").stdout)
    assert [(it["channel"], it["tries"]) for it in waiting["messages"]] == [("hook", 1)]
    assert [it["thing"] for it in waiting["incidents"]] == ["source site"]
    assert "could not be sent to hook" in hub.log.read_text()
    refused = hub.run("alert", "--test")
    assert refused.returncode == 1
    assert refused.stdout.startswith("hook: failed: ")
    hub.stop(signal.SIGKILL)
    webhook.refuses = False
    memory = json.loads((hub.data / "alerts/memory.json").read_text())
    memory["outbox"][0]["next_try"] = FIRST  # it has waited long enough
    (hub.data / "alerts/memory.json").write_text(json.dumps(memory))
    hub.start()
    wait_for(lambda: webhook.taken, "the message")
    looks(hub)
    assert webhook.titles == ["source site is failing"]


@pytest.mark.parametrize(
    ("command", "content", "said"),
    [
        ("hub", "[[channels]]\nname = 'a'\nurl = 'nonsense://x'", "no service of Apprise"),
        ("alert", "bad = 3", "at `$.bad`"),
    ],
)
def test_a_wrong_file_is_refused(make_hub: MakeHub, tmp_path: Path, command: str, content: str, said: str) -> None:
    (tmp_path / "alerts.toml").write_text(content)
    refused = make_hub(FLEET_ALERTS_FILE=str(tmp_path / "alerts.toml")).run(command)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_dry_run_shows_what_would_be_told_and_changes_nothing(fleet: Fleet, webhook: Webhook, tmp_path: Path) -> None:
    hook = {"name": "hook", "url": f"json://127.0.0.1:{webhook.server_port}/"}
    alerts = write_alerts(tmp_path / "alerts.toml", hook, disk_free_percent=100)
    settings = {"FLEET_DATA_DIR": str(tmp_path / "data"), "FLEET_ALERTS_FILE": str(alerts)}
    fleet.shared.mkdir()
    (fleet.sources / "broken").mkdir()
    (fleet.sources / "broken/source.toml").write_text("name = 3")
    shown = fleet.run("alert", "--dry-run", **settings)
    assert shown.returncode == 0, shown.stderr
    assert "[hook] Crawler Fleet: 2 turned bad: source broken, disk of shared" in shown.stdout
    assert "[hook] Crawler Fleet: 2 things need attention" in shown.stdout
    assert not webhook.taken
    assert not (tmp_path / "data/alerts/memory.json").exists()
    sent = fleet.run("alert", "--test", "--json", "--channel", "hook", **settings)
    assert json.loads(sent.stdout) == {"hook": {"sent": True, "reason": ""}}
    assert webhook.titles == ["test"]
