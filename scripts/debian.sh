#!/bin/sh
# Installs what some tests need beside Python, where that can be done: on Debian or Ubuntu, as root. Elsewhere it does nothing: the
# tests are skipped then, and say why. Usage: sh scripts/debian.sh COMMAND WHAT-FOR PACKAGE…
set -eu
command=$1 what_for=$2
shift 2
command -v "$command" >/dev/null 2>&1 && exit 0
[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "debian: installing $* for $what_for" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1 ||
    echo "debian: $* could not be installed; $what_for are skipped" >&2
