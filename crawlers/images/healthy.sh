#!/bin/sh
# The health check of a crawler's container: both programs that it lives by are there. How the crawls went is no matter of
# health (a new container would not mend it): `fleet status` tells.
set -eu
is_running() {
    read -r id <"$1" && read -r name <"/proc/$id/comm" && [ "$name" = "$2" ] && return
    echo "$2 is not running (recorded in $1)" >&2
    exit 1
}
is_running /run/crond.pid cron
is_running /run/fleet/jobs/supervisor python
