"""How far a real crawl is, as the hub and the commands tell it while it runs."""

from collections.abc import Callable
from pathlib import Path

import requests
from parsel import Selector

from tests.command import Fleet
from tests.running_hub import RunningHub, wait_for

PAGE = {"Accept": "text/html"}


def test_a_crawl_under_way_is_told_by_page_status_and_jobs(
    make_hub: Callable[..., RunningHub], tmp_path: Path
) -> None:
    hub = make_hub()
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
    fleet.write_source("slow", "api", code)
    hub.start()
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
        page = Selector(requests.get(f"{hub.url}/sources/slow", auth=hub.auth, headers=PAGE, timeout=30).text)
        assert "25 % · 10 of 40 records" in " ".join(" ".join(page.css("#steps .progress ::text").getall()).split())
        rows = Selector(requests.get(hub.url, auth=hub.auth, headers=PAGE, timeout=30).text)
        assert rows.css("#row-slow .f-next small::text").get() == "25%, 10 of 40 records"
    finally:
        goes_on.touch()
        out, err = crawl.communicate(timeout=60)
    assert crawl.returncode == 0, err
    assert hub.status("slow")["standing"]["progress"] == ""
