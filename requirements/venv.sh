#!/bin/sh
# Make the folder $1 a venv with everything that requirements/dev.txt pins, and channelbeat itself. Complete or absent: $1/.ready is written last.
# $PYTHON names the interpreter; else it is the first of those below that really runs (a version manager may leave dead shims on PATH).
set -eu
venv=$1

fail() { echo "make: $*" >&2; exit 1; }

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }

makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

choose() {
    without_venv=
    for candidate; do
        fits "$candidate" || continue
        if makes_venvs "$candidate"; then
            python=$candidate
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$without_venv has no venv module: install it (Debian and Ubuntu: apt-get install python$version-venv), or name another: make PYTHON=..."
    fi
    fail "no Python 3.11, 3.12 or 3.13 runs as any of: $*. Install one, or name it: make PYTHON=/path/to/python3.11"
}

if [ -e "$venv/.ready" ] && fits "$venv/bin/python"; then
    rm "$venv/.ready"
else
    if [ -n "${PYTHON:-}" ]; then choose "$PYTHON"; else choose python3.12 python3.11 python3.13 python3; fi
    echo "setting up $venv with $("$python" -c 'import sys; print("Python", sys.version.split()[0], "at", sys.executable)')"
    trap 'rm -rf "$venv"' EXIT
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
fi
export VIRTUAL_ENV="$venv"
"$venv/bin/uv" pip sync --quiet --compile-bytecode --require-hashes requirements/dev.txt    # the suite starts hundreds of processes
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
touch "$venv/.ready"
trap - EXIT
