#!/bin/sh
# What every change of a migration has to pass, for any CI system: sh ci/check.sh
#
#   BASE                   what the change is compared with: a branch or a commit. Left out, or a row of zeros
#                          as some systems have it for a new branch: the usual base branch
#   REPORTS                the folder for junit.xml, report.sarif and summary.md; target/ci
#   ROUNDTRIP_TEST_SERVER  the server on which migrations are tried, as docs/FORMATS.md describes it. Left
#                          out: the PostgreSQL of this machine, or Docker
#   STAGING_DATABASE_URL … environments whose ledgers tell what is released, where there are any
#
# The exit code is that of `cargo xtask ci`: 0 is good, 3 found something, anything else did not come to an end.
set -eu
cd "$(dirname "$0")/.."

# A shallow clone does not know where the branch began.
if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    git fetch --quiet --unshallow
fi

reports=${REPORTS:-target/ci}
mkdir -p "$reports"
set -- --junit "$reports/junit.xml" --sarif "$reports/report.sarif" --markdown "$reports/summary.md"
case ${BASE:-} in
    *[!0]*) set -- --base "$BASE" "$@" ;;
esac
exec cargo xtask ci "$@"
