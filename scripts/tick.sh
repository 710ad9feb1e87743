#!/bin/sh
# What cron starts each minute in a crawler's container: the crawl or the check that is due, or ordered. Exits with 7 if there is none.
#
# Usage: tick.sh NAME [NOTE]     (NOTE: the file in which the last look is noted)
#
# Sixty containers do that each minute, so Python is started only where something can have changed: the moment has come that the
# last look noted, an order waits, a pause began or ended, or a crawl began or ended.
set -eu
note=${2:-/run/fleet/jobs/next}
orders=$FLEET_SHARED_DIR/$1_state/orders
if [ -e "$note" ] && ! [ -e "$orders/crawl.json" ] && ! [ -e "$orders/check.json" ] && ! [ "$orders" -nt "$note" ] &&
    ! [ "$FLEET_SHARED_DIR/$1_crawled/last-run.json" -nt "$note" ] && read -r again <"$note" && [ "$(date +%s)" -lt "$again" ]; then
    exit 7
fi
as_biothings=
if [ "$(id -u)" -eq 0 ] && id biothings >/dev/null 2>&1; then
    as_biothings='setpriv --reuid=biothings --regid=biothings --init-groups'
fi
exec $as_biothings fleet due "$1" --run --note "$note"
