#!/bin/sh
# Renews the locked requirement sets from pyproject.toml. Needs uv (pip install uv). Run it after changing dependencies.
set -eu
cd "$(dirname "$0")/.."
lock() {
    name=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "sh scripts/lock.sh" "$@" pyproject.toml requirements/build.in --output-file "requirements/$name.txt"
}
# The largest set first: the smaller ones are held to its versions, so that what was tested is what runs.
lock test --extra scrapy --extra api --extra oai --extra scale --extra browser --extra files --extra hub --extra embedded --extra test
lock local --extra scrapy --extra api --extra oai --extra scale --extra browser --extra files --extra hub --extra embedded -c requirements/test.txt
lock hub --extra hub -c requirements/test.txt
lock crawler --extra scrapy --extra api --extra oai --extra scale --extra files -c requirements/test.txt
lock browser --extra scrapy --extra api --extra files --extra browser -c requirements/test.txt
