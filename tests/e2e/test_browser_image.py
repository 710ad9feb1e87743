"""A source with a browser, in its real image: as the user of all crawls, in Chromium's own sandbox."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.compose import Compose, checked

pytestmark = pytest.mark.timeout(1200)

# Crawls, ends the browsers once while they are at work, and tells how it went.
KILLER = """
import contextlib, json, psutil, subprocess, time
crawl = subprocess.Popen(["fleet", "crawl", "demo_js"], stderr=subprocess.PIPE, text=True)
users, commands, killed, deadline = set(), set(), 0, time.monotonic() + 120
while crawl.poll() is None and time.monotonic() < deadline:
    found = [one for one in psutil.process_iter(["name", "uids", "cmdline", "cpu_times"]) 
             if one.info["name"] == "chromium" and one.info["cmdline"] and one.info["uids"]]
    renderers = [one for one in found if "--type=renderer" in one.info["cmdline"] and one.info["cpu_times"].user > 0.1]
    users |= {one.info["uids"].real for one in found}
    commands |= {word for one in found for word in one.info["cmdline"] if word == "--no-sandbox"}
    if renderers and not killed:
        for one in found:
            with contextlib.suppress(psutil.Error):
                one.kill()
        killed = len(found)
    time.sleep(0.05)
_, said = crawl.communicate()
left = [one.name() for one in psutil.process_iter() if one.name().startswith("chrom")]
print(json.dumps({"code": crawl.returncode, "users": sorted(users), "said": said, "killed": killed, "left": left,
                  "options": sorted(commands)}))
"""


@pytest.fixture(scope="module")
def told(compose: Compose) -> dict[str, Any]:
    """How a crawl went whose browsers were killed once."""
    checked(compose.run("build", "demo_js", timeout=900))
    run = compose.run("run", "--rm", "--no-deps", "-T", "demo_js", "python", "-c", KILLER, timeout=300)
    return json.loads(checked(run).splitlines()[-1])


def test_pages_that_need_javascript_are_rendered_clicked_and_paged_though_the_browser_is_killed(
    told: dict[str, Any], folder: Path
) -> None:
    assert told["code"] == 0, told["said"]
    assert told["killed"] > 0
    assert told["left"] == []
    released = folder / "shared/demo_js_crawled"
    data = (released / "data.ndjson").read_text().splitlines()
    assert len({json.loads(line)["name"] for line in data}) == 12
    # robots.txt, two listings, twelve datasets, and what was tried again
    assert json.loads((released / "release.json").read_bytes())["counts"]["requests"] > 15


def test_the_browser_is_the_unprivileged_user_s(told: dict[str, Any]) -> None:
    assert told["users"] == [454]


def test_the_browser_runs_in_its_own_sandbox_where_the_kernel_has_one(compose: Compose, told: dict[str, Any]) -> None:
    namespaces = ("run", "--rm", "--no-deps", "-T", "demo_js", "unshare", "--user", "--pid", "--fork", "true")
    if compose.run(*namespaces).returncode:
        pytest.skip("this machine's kernel or engine gives a container no user namespaces")
    assert told["options"] == []
