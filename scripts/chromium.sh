#!/bin/sh
# Installs Chromium and its driver for the browser's tests, where that can be done: on Debian or Ubuntu, as root. Elsewhere it says
# nothing and does nothing: the tests are skipped then, and say why.
command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1 && exit 0
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "chromium: installing chromium and chromium-driver for the browser's tests" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null 2>&1 ||
    echo "chromium: it could not be installed; the browser's tests are skipped" >&2
