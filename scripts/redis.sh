#!/bin/sh
# Installs Redis for the tests of shared harvests, where that can be done: on Debian or Ubuntu, as root. Elsewhere it says nothing and
# does nothing: the tests are skipped then, and say why.
command -v redis-server >/dev/null 2>&1 && exit 0
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "redis: installing redis-server for the tests of shared harvests" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server; } >/dev/null 2>&1 ||
    echo "redis: it could not be installed; the tests of shared harvests are skipped" >&2
