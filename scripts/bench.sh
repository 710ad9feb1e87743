#!/bin/sh
# Runs each benchmark in bench/; every one prints ratios measured in one run.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
for file in bench/*.py; do
    .venv/bin/python "$file"
done
