#!/bin/sh
# The check that every change of a migration has to pass, for any CI system: sh ci/check.sh
#
#   BASE                   what the change is compared with: a branch or a commit. If it is missing, or all
#                          zeros (which some systems set for a new branch): the usual base branch
#   REPORTS                the folder for junit.xml, report.sarif and summary.md; target/ci
#   ROUNDTRIP_TEST_SERVER  the shadow server, on which migrations are tried; docs/FORMATS.md describes it.
#                          If it is missing: the PostgreSQL of this machine, or Docker
#   STAGING_DATABASE_URL … environments, if any, whose ledgers tell what is released
#
# The exit code is that of `cargo xtask ci`: 0 is good, 3 found something, anything else did not finish.
set -eu
cd "$(dirname "$0")/.."

# A shallow clone does not contain the commit where the branch began.
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
