#!/bin/sh
# Makes the checkout's .venv with the locked packages of one requirement set. Usage: sh scripts/setup.sh local|test
set -eu
cd "$(dirname "$0")/.."
wanted=requirements/$1.txt

stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    stop 'Python 3.11 or newer is needed. On Debian or Ubuntu: sudo apt-get install python3 python3-venv (or set PYTHON to one you have)'
}

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "venv or pip is missing for $python. On Debian or Ubuntu: sudo apt-get install python3-venv python3-pip"
    echo "setup: making .venv with $("$python" --version)" >&2
    "$python" -m venv --clear .venv
fi

# The set "test" holds all of "local", in the same versions.
for name in "$1" test; do
    stamp=.venv/.installed-$name
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(cat "requirements/$name.txt" pyproject.toml | cksum)" ]; then
        exit 0
    fi
done
echo "setup: installing $wanted into .venv; the first time this takes a minute or two" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$wanted" ||
    stop "the packages could not be installed: see pip's message above. pip needs its package index; set PIP_INDEX_URL for a mirror"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>.venv/build.log ||
    stop "the project could not be installed: $(tail -n 20 .venv/build.log)"
cat "$wanted" pyproject.toml | cksum >".venv/.installed-$1"
