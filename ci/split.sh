#!/usr/bin/env bash
# Checks that scripts are split into statements as PostgreSQL's own grammar splits them. .ci/run calls it. To run more
# cases by hand:
#   ci/split.sh FOLDER-FOR-TOOLS 200000 [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${1:?the folder for tools}
count=${2:-12000}

python="$tools/split/bin/python"
if ! "$python" -c 'import pglast' 2>/dev/null; then
    rm -rf "$tools/split"
    python3 -m venv "$tools/split"
    "$tools/split/bin/pip" install --quiet 'pglast>=8,<9'
fi
cargo build --quiet -p migrate-base --example split
"$python" ci/split.py "${CARGO_TARGET_DIR:-target}/debug/examples/split" "$count" "${3:-1}"
