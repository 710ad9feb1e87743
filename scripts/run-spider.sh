#!/bin/sh
# One crawl, now: what cron runs in a crawler's container, and what an operator runs by hand, there or in a checkout:
#
#   docker compose exec demo scripts/run-spider.sh
#   scripts/run-spider.sh demo
#
# Usage: run-spider.sh [NAME [OPTION…]]     (NAME: the container's own source; the options are those of `fleet crawl`)
#
# With COMMAND=check in the environment it runs `fleet check` instead: what cron runs where the manifest has a schedule for it.
# `fleet crawl` holds the source's lock: a second crawl of the same source ends at once with exit code 3.
set -eu
[ $# -gt 0 ] || set -- "${FLEET_SOURCE:?run-spider.sh: no source given. Usage: run-spider.sh NAME}"

# Never as root, which would leave files that the next crawl and the hub can't replace.
if [ "$(id -u)" -eq 0 ] && id biothings >/dev/null 2>&1; then
    exec setpriv --reuid=biothings --regid=biothings --init-groups "$0" "$@"
fi

# In a container, the supervisor signals the jobs recorded here when the container is stopped, and waits for them.
jobs=/run/fleet/jobs
if [ -w "$jobs" ]; then
    for job in "$jobs"/[0-9]*; do
        [ -d "/proc/${job##*/}" ] || rm -f "$job"
    done
    : >"$jobs/$$"
    if [ -e "$jobs/stopping" ]; then
        echo "run-spider.sh: $1: not started, the container is being stopped" >&2
        exit 143
    fi
else
    PATH=$(dirname "$0")/../.venv/bin:$PATH
fi
exec fleet "${COMMAND:-crawl}" "$@"
