#!/bin/sh
# Runs the unit, contract and integration tests; arguments go to pytest. Everything they need is set up first.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
sh scripts/debian.sh chromedriver "the tests of the browser" chromium chromium-driver
sh scripts/debian.sh redis-server "the tests of shared harvests" redis-server
exec .venv/bin/python -m pytest --numprocesses "${FLEET_TEST_PROCESSES:-auto}" --dist loadfile "$@"
