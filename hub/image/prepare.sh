#!/bin/sh
# Runs once at each start of the fleet, as root, before anything else: makes the secrets that are missing, each readable by
# its reader alone, and lets the group of crawlers and hub write to the shared volume. Its owner stays who it is.
set -eu
umask 077

case ${FLEET_VOLUME:-/} in
/*) ;;
*)
    echo "prepare: FLEET_VOLUME is '$FLEET_VOLUME': write an absolute path in .env, such as /srv/shared-volume" >&2
    exit 2
    ;;
esac

# A secret once made stays: the database keeps the password that it was set up with.
make_secret() { # FILE LENGTH
    [ -s "$1" ] && return
    tr -dc A-Za-z0-9 </dev/urandom | head -c "$2" >"$1.new"
    mv "$1.new" "$1"
}

mkdir -p /secrets/mongodb /secrets/hub /secrets/prometheus /secrets/grafana
make_secret /secrets/mongodb/password 32
make_secret /secrets/mongodb/keyfile 256
make_secret /secrets/hub/password 24
make_secret /secrets/prometheus/token 32
make_secret /secrets/grafana/password 24
cp /secrets/mongodb/password /secrets/hub/mongo-password
cp /secrets/prometheus/token /secrets/hub/metrics-token
chown -R 999:999 /secrets/mongodb
chown -R 454:454 /secrets/hub
chown -R 65534:65534 /secrets/prometheus
chown -R 472:472 /secrets/grafana
chmod 500 /secrets/*/
chmod 400 /secrets/*/*
chmod 755 /secrets

if [ "$(stat -c '%g %a' /shared-volume)" != '454 2775' ]; then
    chgrp 454 /shared-volume && chmod 2775 /shared-volume || {
        echo "prepare: the shared volume (${FLEET_VOLUME:-./shared-volume}) can't be given to group 454: on the machine that" \
            "holds it, run chgrp 454 and then chmod 2775 on that folder" >&2
        exit 1
    }
fi
echo 'prepare: the secrets and the shared volume are ready'
