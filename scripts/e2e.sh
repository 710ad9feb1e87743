#!/bin/sh
# The compose tests: builds the images, starts a fleet of its own in containers, and looks at it. Arguments go to pytest.
# Without a Docker engine they are all skipped, and say so.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
# A machine without an engine may have a script beside the checkout that brings one.
engine=../shared/docker/engine
if ! docker info >/dev/null 2>&1 && [ -x "$engine" ]; then
    eval "$("$engine" env)"
    docker info >/dev/null 2>&1 || trap '"$engine" down' EXIT
    "$engine" up python:3.12-slim-bookworm mongo:8 || true
    eval "$("$engine" env)"
fi
.venv/bin/python -m pytest tests/e2e "$@"
