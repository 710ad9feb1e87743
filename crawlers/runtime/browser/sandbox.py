"""Chromium's own sandbox, where the kernel lets it have one.

It needs user namespaces. Docker's default seccomp profile denies them, so the service kind ``browser`` brings a profile that allows
them (crawlers/images/browser/seccomp.json). Where they are not to be had (root, a hardened kernel), Chromium runs without: then the
container is the sandbox, with an unprivileged user, no capabilities, a read-only file system and no way to the database.
"""

import logging
import os
import subprocess
from functools import cache

logger = logging.getLogger(__name__)


@cache
def sandbox_options() -> tuple[str, ...]:
    """The options that Chromium needs where it can have no sandbox; none where it can."""
    if os.geteuid() == 0:
        return ("--no-sandbox",)  # it refuses to start as root otherwise
    try:
        subprocess.run(["unshare", "--user", "--pid", "--fork", "true"], check=True, capture_output=True, timeout=30)  # noqa: S607
        return ()
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning(
            "no user namespaces here (%s): the browser runs without its own sandbox; see docs/browser.md", error
        )
        return ("--no-sandbox",)
