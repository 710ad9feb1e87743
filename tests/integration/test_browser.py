"""Pages rendered by a real Chromium, from a real server that misbehaves."""

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from crawlers.runtime.addresses import Addresses, Hosts
from crawlers.runtime.browser.errors import BrowserCrashedError, NavigationError, StepError
from crawlers.runtime.browser.pool import BrowserPool
from crawlers.runtime.browser.rendering import Rendering, Step
from crawlers.runtime.http import Patience
from crawlers.runtime.manifest import Browsing, Manifest
from tests.command import MANIFEST, Fleet
from tests.site import Answer, Site, serve_site

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed (apt-get install chromium chromium-driver)",
)

SPIDER = """
    import scrapy
    from crawlers.runtime.browser.rendering import BrowserRequest

    class LittleSpider(scrapy.Spider):
        name = "little"
        start_urls = ["http://site.invalid/list"]

        def parse(self, response):
            for link in response.css("a::attr(href)").getall():
                yield BrowserRequest(response.urljoin(link), self.parse_item, wait_for="b")

        def parse_item(self, response):
            yield {"_id": response.css("b::text").get(), "url": response.url}
"""
WRITE = "<html><body><script>document.body.innerHTML = {}</script></body></html>"
MORE = """<ul></ul><button>More</button><script>
let left = LEFT;
document.querySelector("button").onclick = async (event) => {
  await fetch("/part");
  document.querySelector("ul").append(document.createElement("li"));
  if (--left === 0) event.target.remove();
};
</script>"""
LEAK = "<b>x</b><script>window.kept = Array.from({length: 40}, () => new Uint8Array(1 << 18).fill(7))</script>"
MakePool = Callable[..., BrowserPool]


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with serve_site() as site:
        yield site


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Site]:
    with serve_site() as site:
        site.put("/", "elsewhere")
        yield site


@pytest.fixture(scope="module")
def make_pool(served: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakePool]:
    pools = []

    def make(timeout_seconds: float = 20, **fields: object) -> BrowserPool:
        manifest = Manifest(name="little", kind="browser", browser=Browsing(**fields), **MANIFEST)
        pool = BrowserPool(
            manifest,
            hosts=Hosts(["site.invalid"]),
            addresses=Addresses(manifest, served.url),
            base_url=served.url,
            patience=Patience(timeout_seconds),
            failures_dir=tmp_path_factory.mktemp("failures"),
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture(scope="module")
def pool(make_pool: MakePool) -> BrowserPool:
    """One that waits long: what is to be seen comes when it comes."""
    return make_pool()


@pytest.fixture(scope="module")
def hasty(make_pool: MakePool) -> BrowserPool:
    """One that waits for two seconds: for what never comes."""
    return make_pool(timeout_seconds=2)


def rendered(pool: BrowserPool, path: str, *steps: Step, wait_for: str | None = None) -> str:
    return pool.render_now(f"http://site.invalid{path}", Rendering(wait_for=wait_for, steps=list(steps))).html


def test_what_javascript_writes_is_read_as_soon_as_it_is_there(pool: BrowserPool, served: Site) -> None:
    script = "setTimeout(() => document.body.append(document.createElement('i')), 300)"
    served.put("/late", f"<body><script>{script}</script>")
    assert "<i></i>" in rendered(pool, "/late", wait_for="i")


def test_the_page_sees_its_real_url_also_where_it_is_https(pool: BrowserPool, served: Site) -> None:
    served.put("/where?a=1", WRITE.format("location.href + (window.isSecureContext ? ' secure' : '')"))
    for scheme, context in (("http", ""), ("https", " secure")):
        page = pool.render_now(f"{scheme}://site.invalid/where?a=1", Rendering())
        assert f"{scheme}://site.invalid/where?a=1{context}<" in page.html
        assert page.url == f"{scheme}://site.invalid/where?a=1"


def test_it_says_who_it_is_and_loads_no_pictures(pool: BrowserPool, served: Site) -> None:
    served.put("/me", '<img src="/picture.png">me')
    rendered(pool, "/me")
    [seen] = [seen for seen in served.seen if seen.path == "/me"]
    assert seen.user_agent.startswith("crawler-fleet/")
    assert "/picture.png" not in served.paths()


def test_a_button_for_more_is_clicked_until_it_is_gone(pool: BrowserPool, served: Site) -> None:
    served.put("/more", MORE.replace("LEFT", "4"))
    served.put("/part", "part")
    page = rendered(pool, "/more", Step(click="button", times=50, wait_for="li"))
    assert page.count("<li>") == 4


def test_a_button_that_is_still_there_after_so_many_clicks_is_an_error(pool: BrowserPool, served: Site) -> None:
    served.put("/more", MORE.replace("LEFT", "4"))
    served.put("/part", "part")
    with pytest.raises(StepError, match="still there after 3 clicks"):
        rendered(pool, "/more", Step(click="button", times=3, wait_for="li"))


@pytest.mark.parametrize(
    ("page", "step", "said"),
    [
        ("<p>", Step(wait_for="li"), "no element 'li' within 2 s"),
        ("<p>", Step(click="button"), "no element 'button' to click"),
        ("<button>", Step(click="button", times=9), "brought no more elements"),
        ("<button disabled>", Step(click="button"), "it is disabled"),
        (
            "<button>x</button><div style='position:fixed; inset:0'>cookies</div>",
            Step(click="button"),
            "is not clickable",
        ),
    ],
)
def test_a_step_that_does_not_work_is_an_error_with_a_picture(
    hasty: BrowserPool, served: Site, page: str, step: Step, said: str
) -> None:
    served.put("/step", page)
    with pytest.raises(StepError, match=said) as caught:
        rendered(hasty, "/step", step)
    named = Path(str(caught.value).split("as it looked: ")[1].split(",")[0])
    assert named.read_bytes().startswith(b"\x89PNG")
    assert page.split(" ")[0].rstrip(">") in named.with_suffix(".html").read_text()


def test_a_cookie_banner_is_clicked_where_there_is_one(pool: BrowserPool, served: Site) -> None:
    banner = "<div style='position:fixed; inset:0'><button id='ok' onclick='this.parentNode.remove()'>OK</button></div>"
    button = "<button id='go' onclick=\"this.outerHTML = '<i></i>'\">go</button>"
    steps = (Step(click="#ok", optional=True), Step(click="#go", wait_for="i"))
    for path, page in (("/banner", banner + button), ("/plain", button)):
        served.put(path, page)
        assert "<i></i>" in rendered(pool, path, *steps)


def test_a_status_is_that_of_the_document(pool: BrowserPool, served: Site) -> None:
    served.put("/gone", Answer("<b>x</b>", status=410))
    assert pool.render_now("http://site.invalid/gone", Rendering(wait_for="never")).status == 410


@pytest.mark.parametrize("how", ["redirect", "script"])
def test_a_page_that_leads_elsewhere_is_told_as_a_redirect(pool: BrowserPool, served: Site, how: str) -> None:
    moved = Answer(status=302, headers={"Location": "/there"})
    served.put("/here", moved if how == "redirect" else "<script>history.replaceState({}, '', '/there')</script>")
    served.put("/there", "there")
    found = pool.render_now("http://site.invalid/here", Rendering())
    assert (found.status, found.url, found.html) == (302, "http://site.invalid/there", "")


def test_a_page_reaches_no_other_host_and_no_private_address(pool: BrowserPool, served: Site, elsewhere: Site) -> None:
    targets = [
        "https://elsewhere.invalid/",
        "http://elsewhere.invalid/",
        f"{elsewhere.url}/",
        "http://169.254.169.254/",
        f"http://localhost:{elsewhere.port}/",
    ]
    script = "Promise.allSettled([{}].map(url => fetch(url, {{mode: 'no-cors'}}))).then(all => document.body.innerHTML = '<i>' + all.map(one => one.value ? 'ok' : 'no') + '</i>')"
    served.put("/nosy", f"<body><script>{script.format(','.join(map(repr, targets)))}</script>")
    before = pool.proxy.refused.total()
    page = rendered(pool, "/nosy", wait_for="i")
    assert pool.proxy.refused.total() - before >= 5
    assert pool.proxy.refused["offsite", "elsewhere.invalid"] >= 2
    assert elsewhere.seen == []
    assert "<i>no" in page


def test_a_redirect_to_another_site_is_not_followed(pool: BrowserPool, served: Site, elsewhere: Site) -> None:
    served.put("/away", Answer(status=302, headers={"Location": f"{elsewhere.url}/"}))
    served.put("/file", "<script>location = 'file:///etc/passwd'</script>")
    with contextlib.suppress(NavigationError):  # Chromium may show an error page of its own
        away = pool.render_now("http://site.invalid/away", Rendering())
        assert (away.status, away.html) == (302, "")
    assert elsewhere.seen == []
    with contextlib.suppress(NavigationError):
        assert "root:" not in rendered(pool, "/file")


def test_a_download_is_no_page(pool: BrowserPool, served: Site) -> None:
    served.put("/data.bin", Answer(b"\0\1", type="application/octet-stream"))
    with pytest.raises(NavigationError, match="ERR_ABORTED"):
        rendered(pool, "/data.bin")


@pytest.mark.parametrize("page", ["<script>while (true) {}</script>", Answer(fault="hang")], ids=["busy", "silent"])
def test_a_page_that_hangs_fails_in_time_and_the_next_one_is_rendered(
    hasty: BrowserPool, served: Site, page: str | Answer
) -> None:
    served.put("/hang", page)
    served.put("/next", WRITE.format("'<i></i>'"))
    with pytest.raises(TimeoutError):
        rendered(hasty, "/hang")
    assert "<i></i>" in rendered(hasty, "/next")


def test_a_dialogue_and_a_new_window_are_no_hindrance(pool: BrowserPool, served: Site) -> None:
    served.put("/alert", "<script>alert('hello')</script><b>x</b><button onclick=\"window.open('/next')\">w</button>")
    served.put("/next", "next")
    for _ in range(2):
        assert "<b>" in rendered(pool, "/alert", Step(click="button"))


def test_a_browser_that_is_killed_at_a_page_is_replaced(make_pool: MakePool, served: Site) -> None:
    pool = make_pool()
    served.put("/slow", Answer(fault="hang"))
    served.put("/fine", "<b>fine</b>")
    rendered(pool, "/fine")
    [browser] = pool._idle

    def kill() -> None:
        served.wait_for("/slow")
        for process in browser.processes()[1:]:
            process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(BrowserCrashedError):
        rendered(pool, "/slow")
    killer.join()
    assert "fine" in rendered(pool, "/fine")
    assert pool.started == 2
    pool.close()


@pytest.mark.parametrize(("fields", "pages"), [({"pages": 2}, 3), ({"memory_mb": 100}, 5)], ids=["count", "memory"])
def test_a_browser_is_replaced_by_count_and_by_memory(
    make_pool: MakePool, served: Site, fields: dict[str, int], pages: int
) -> None:
    pool = make_pool(**fields)
    served.put("/fine", "<b>fine</b>")
    for _ in range(pages):
        rendered(pool, "/fine")
    assert pool.started == 2
    assert len(pool._all) == 1
    pool.close()


@pytest.mark.parametrize("pages", [12, pytest.param(500, marks=pytest.mark.soak)])
def test_memory_is_bounded_over_pages_that_leak(make_pool: MakePool, served: Site, pages: int) -> None:
    limit = 600
    pool = make_pool(memory_mb=limit, pages=10_000)
    served.put("/leak", LEAK)
    peak = 0
    for number in range(pages):
        assert "<b>x</b>" in rendered(pool, "/leak")
        if pool._idle and number % 5 == 0:
            peak = max(peak, pool._idle[0].memory_bytes() >> 20)
    print(f"at most {peak} MiB over {pages} pages, in {pool.started} browsers")
    assert 0 < peak < limit + 250
    pool.close()


def browsers_of(process: int) -> list[psutil.Process]:
    """The processes of browsers whose crawl is ``process``, by the folder that they were given."""
    found = []
    for candidate in psutil.process_iter(["cmdline"]):
        if any(f"fleet-browser-{process}-" in word for word in candidate.info["cmdline"] or ()):
            found.append(candidate)
    return found


def put_items(site: Site, number: int) -> None:
    site.put("/list", "".join(f'<a href="/item/{index}">x</a>' for index in range(number)))
    for index in range(number):
        site.put(f"/item/{index}", WRITE.format(f"'<b>{index}</b>'"))


def test_a_crawl_whose_browser_is_killed_tries_the_page_again_and_publishes(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "browser", SPIDER)
    put_items(site, 4)
    site.put("/item/0", Answer(fault="hang"), Answer("<b>0</b>"))
    with fleet.start("crawl", "little", "--base-url", site.url) as process:
        site.wait_for("/item/0")
        for browser in browsers_of(process.pid):
            browser.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert {record["_id"] for record in fleet.records("little")} == {f"little_{index}" for index in range(4)}
    description = fleet.description("little")
    assert (description["counts"]["requests"], description["errors"]) == (
        7,
        {},
    )  # robots.txt, the list, 4 pages, 1 again
    assert "a new browser is started" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_crawl_that_is_ended_leaves_no_browser_behind(fleet: Fleet, site: Site, number: signal.Signals) -> None:
    fleet.write_source("little", "browser", SPIDER)
    put_items(site, 2)
    site.put("/item/0", Answer(fault="hang"))
    with fleet.start("crawl", "little", "--base-url", site.url) as process:
        site.wait_for("/item/0")
        started = browsers_of(process.pid)
        os.kill(process.pid, number)
        process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert len(started) > 3
    psutil.wait_procs(started, timeout=30)
    assert browsers_of(process.pid) == []
    assert fleet.files("little") == [] or number == signal.SIGKILL


def test_failures_of_rendered_pages_are_counted_by_class_with_robots_and_rate(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "browser", SPIDER, error_budget=1, rate=20)
    links = ["/item/0", "/missing", "/secret", "/moved", "/empty", "http://elsewhere.invalid/", "/away"]
    put_items(site, 1)
    site.put("/list", "".join(f'<a href="{link}">x</a>' for link in links))
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret\n")
    site.put("/secret", "<b>secret</b>")
    site.put("/moved", Answer(status=302, headers={"Location": "/target"}))
    site.put("/target", "<b>target</b>")
    site.put("/away", "<script>location = 'http://elsewhere.invalid/'</script>")
    site.put("/empty", "<i></i>")
    done = fleet.run("crawl", "little", "--base-url", site.url, FLEET_TIMEOUT_SECONDS="4")
    assert done.returncode == 0, done.stderr
    errors = {kind: error["count"] for kind, error in fleet.description("little")["errors"].items()}
    assert errors.pop("offsite") >= 1
    assert errors == {"not_found": 1, "robots": 1, "step": 1, "http": 1}
    assert {record["_id"] for record in fleet.records("little")} == {"little_0", "little_target"}
    assert "/secret" not in site.paths()
    [step] = [reject for reject in fleet.rejects("little") if reject["url"].endswith("/empty")]
    assert "little_state/browser-failures/" in step["reason"]


DEFINITION = """
[pages.list]
start = "http://site.invalid/list"
browser = { wait_for = "li", steps = [{ click = "button", times = 9, wait_for = "li" }] }

[pages.item]
links = { from = "list", css = "a" }

[pages.item.record]
_id = { css = "b", required = true }
"""


def test_a_site_described_as_data_is_rendered_where_its_pages_say_so(fleet: Fleet, site: Site) -> None:
    folder = fleet.write_source("little", "browser", "", profile="none")
    (folder / "spider.py").unlink()
    (folder / "pages.toml").write_text(DEFINITION)
    site.put("/list", MORE.replace("LEFT", "2").replace("<ul>", '<ul><li><a href="/item/1">x</a></li>'))
    site.put("/part", "part")
    site.put("/item/1", "<b>one</b>")
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 0, done.stderr
    assert [record["_id"] for record in fleet.records("little")] == ["little_one"]
    assert site.paths().count("/part") == 2


def test_a_source_of_another_kind_is_told_that_it_has_no_browser(fleet: Fleet, site: Site) -> None:
    fleet.write_source("little", "scrapy", SPIDER)
    put_items(site, 1)
    done = fleet.run("crawl", "little", "--base-url", site.url)
    assert done.returncode == 1
    assert 'kind = "browser"' in done.stderr


def test_the_demonstration_site_in_javascript_is_crawled_whole(fleet: Fleet) -> None:
    done = fleet.run("crawl", "demo_js", FLEET_SOURCES_DIR=str(Path(__file__).parents[2] / "crawlers/sources"))
    assert done.returncode == 0, done.stderr
    assert len({record["name"] for record in fleet.records("demo_js")}) == 12
    assert fleet.description("demo_js")["errors"] == {}
