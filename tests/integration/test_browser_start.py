"""A driver that does not start the first time, and one that never does."""

import shutil
from pathlib import Path

import pytest

from crawlers.runtime.browser import chromium

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed (apt-get install chromium chromium-driver)",
)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver that writes down each start, says that its port is taken and ends, while the file ``busy`` has lines."""
    script = tmp_path / "chromedriver"
    script.write_text(
        f"#!/bin/sh\ncd {tmp_path}\necho start >> starts\n"
        "if [ -s busy ]; then sed -i 1d busy; echo 'IPv6 port not available. Exiting...'; exit 1; fi\n"
        f'exec {shutil.which(chromium.CHROMEDRIVER)} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(chromium, "CHROMEDRIVER", str(script))
    return tmp_path


def start() -> None:
    chromium.Chromium(proxy_port=9, user_agent="x", timeout_seconds=20, pause_seconds=0, trust_any=True).close()


def test_a_driver_whose_port_was_taken_is_started_again(driver: Path) -> None:
    (driver / "busy").write_text("x\nx\n")
    start()
    assert (driver / "starts").read_text().count("start") == 3


def test_a_driver_that_never_starts_is_told_with_its_last_words(driver: Path) -> None:
    (driver / "busy").write_text("x\n" * 100)
    with pytest.raises(chromium.BrowserCrashedError, match=r"code 1, 3 times; its last words: IPv6 port not available"):
        start()
    assert (driver / "starts").read_text().count("start") == 3
