#!/bin/sh
# Runs the unit, contract and integration tests; arguments go to pytest. Everything they need is set up first.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
sh scripts/chromium.sh
sh scripts/redis.sh
exec .venv/bin/python -m pytest --numprocesses "${FLEET_TEST_PROCESSES:-auto}" --dist loadfile "$@"
