#!/bin/sh
# What the init starts, as root, in a crawler's container. Without arguments: writes the crontab, starts cron and becomes
# the supervisor, as the user biothings. With arguments: becomes that command, as the same user.
set -eu
as_biothings='setpriv --reuid=biothings --regid=biothings --init-groups'
[ $# -eq 0 ] || exec $as_biothings "$@"

rm -rf /run/fleet
mkdir -p /run/fleet/jobs
chmod 1777 /run/fleet/jobs
# Cron starts its jobs with an empty environment: the crontab's line reads this one. Root's alone, it may hold secrets.
(umask 077 && export -p >/run/fleet/environment)
$as_biothings python crawlers/images/crontab.py >/run/fleet/crontab
chmod 644 /run/fleet/crontab

# The schedule is in UTC, whatever time zone the container is given for its logs.
TZ=UTC0 cron -f &
exec $as_biothings python crawlers/images/supervisor.py "$!"
