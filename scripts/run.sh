#!/bin/sh
# Starts the whole fleet on this machine, with a demonstration source: hub, embedded database, crawl, upload. Ctrl-C stops it.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh local
exec .venv/bin/fleet up "$@"
