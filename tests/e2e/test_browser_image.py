"""A source with a browser, in its real image: as the user of all crawls, in Chromium's own sandbox."""

import json
from pathlib import Path

import pytest

from tests.e2e.compose import Compose, checked

pytestmark = pytest.mark.timeout(1200)

# Crawls, ends the browsers once while they are at work, and tells how it went.
KILLER = """
import json, os, psutil, subprocess, time
crawl = subprocess.Popen(["fleet", "crawl", "demo_js"], stderr=subprocess.PIPE, text=True)
users, commands, killed, deadline = set(), set(), 0, time.monotonic() + 120
while crawl.poll() is None and time.monotonic() < deadline:
    found = [one for one in psutil.process_iter(["name", "uids", "cmdline"]) 
             if one.info["name"] == "chromium" and one.info["cmdline"] and one.info["uids"]]
    renderers = [one for one in found if "--type=renderer" in one.info["cmdline"] and one.cpu_times().user > 0.1]
    users |= {one.info["uids"].real for one in found}
    commands |= {word for one in found for word in one.info["cmdline"] if word == "--no-sandbox"}
    if renderers and not killed:
        for one in found:
            one.kill()
        killed = len(found)
    time.sleep(0.05)
_, said = crawl.communicate()
left = [one.name() for one in psutil.process_iter() if one.name().startswith("chrom")]
print(json.dumps({"code": crawl.returncode, "users": sorted(users), "said": said, "killed": killed, "left": left,
                  "options": sorted(commands)}))
"""


@pytest.fixture(scope="module")
def built(compose: Compose) -> Compose:
    checked(compose.run("build", "demo_js", timeout=900))
    return compose


def test_a_page_that_needs_javascript_is_rendered_clicked_and_paged_though_its_browser_is_killed(
    built: Compose, folder: Path
) -> None:
    run = built.run("run", "--rm", "--no-deps", "-T", "demo_js", "python", "-c", KILLER, timeout=300)
    told = json.loads(checked(run).splitlines()[-1])
    assert told["code"] == 0, told["said"]
    assert told["users"] == [454]
    assert told["killed"] > 0
    assert told["left"] == []
    assert "a new browser is started" in told["said"]
    data = (folder / "shared/demo_js_crawled/data.ndjson").read_text().splitlines()
    assert len({json.loads(line)["name"] for line in data}) == 12


def test_the_browser_runs_in_its_own_sandbox_where_the_kernel_has_one(built: Compose) -> None:
    namespaces = ("run", "--rm", "--no-deps", "-T", "demo_js", "unshare", "--user", "--pid", "--fork", "true")
    if built.run(*namespaces).returncode:
        pytest.skip("this machine's kernel or engine gives a container no user namespaces")
    run = built.run("run", "--rm", "--no-deps", "-T", "demo_js", "python", "-c", KILLER, timeout=300)
    assert json.loads(checked(run).splitlines()[-1])["options"] == []
