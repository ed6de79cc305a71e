#!/usr/bin/env bash
# Checks that the files that other systems read are valid for them: workflows, compose file, SARIF, shell.
# .ci/run calls it. It installs its tools once into the given folder, from Python's and Rust's registries.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${1:?the folder for tools}

# The tool includes the public schemas of these formats.
check="$tools/venv/bin/check-jsonschema"
if [ ! -x "$check" ]; then
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet 'check-jsonschema>=0.39,<0.40'
fi
"$check" --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$check" --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
"$check" --builtin-schema vendor.github-actions ci/action/action.yml
"$check" --builtin-schema vendor.gitlab-ci ci/gitlab-ci.yml
"$check" --builtin-schema vendor.compose-spec ci/shadow-db.yml

# The official schema of SARIF is a file in a crate. Only the file is read; the crate is not compiled.
schema="$tools/sarif/vendor/serde-sarif/src/schema.json"
if [ ! -f "$schema" ]; then
    rm -rf "$tools/sarif"
    cargo init --quiet --lib --vcs none --name sarif-schema "$tools/sarif"
    cargo add --quiet --manifest-path "$tools/sarif/Cargo.toml" serde-sarif@=0.8.0
    (cd "$tools/sarif" && cargo vendor --quiet >config.toml)
fi
# One of its patterns is not valid in the JavaScript dialect, which is the default.
"$check" --regex-variant python --schemafile "$schema" migrate-cli/src/report/sample/report.sarif

# GitHub reads its list of versions from a file; GitLab cannot, so compare the two.
if ! tr -d '[:space:]' <ci/gitlab-ci.yml | grep -qF "POSTGRES:$(tr -d '[:space:]' <ci/postgres-versions.json)"; then
    echo "ci/gitlab-ci.yml and ci/postgres-versions.json name different versions of PostgreSQL" >&2
    exit 1
fi

sh -n ci/check.sh
sh -n ci/pre-commit
bash -n .ci/run
if command -v shellcheck >/dev/null; then
    shellcheck .ci/run ci/check.sh ci/pre-commit ci/split.sh ci/validate.sh
    shellcheck --shell sh migrate-test/src/ephemeral/supervise.sh migrate-test/src/provider/throwaway.sh
fi

# The compose tool of this machine, if there is one, must accept the compose file, and refuse it without a password.
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
if command -v "${compose[0]}" >/dev/null && "${compose[@]}" version >/dev/null 2>&1; then
    SHADOW_PASSWORD=any "${compose[@]}" --file ci/shadow-db.yml config --quiet
    if env -u SHADOW_PASSWORD "${compose[@]}" --file ci/shadow-db.yml config --quiet 2>/dev/null; then
        echo "ci/shadow-db.yml is accepted without a password" >&2
        exit 1
    fi
fi
