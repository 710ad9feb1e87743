#!/bin/sh
# Checks style and types.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
