#!/bin/sh
# A migration tool for tests: steps/NAME.up and steps/NAME.down, and a table with the names of what is applied.
#
# tool.sh list | up NAME | next | down
set -eu
q() { psql -qXAt -v ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }
applied() { q -c "SELECT name FROM versions ORDER BY name"; }
all() { for file in steps/*.up; do basename "$file" .up; done; }
up() { q -1 -f "steps/$1.up" -c "INSERT INTO versions VALUES ('$1')"; }
case $1 in
    list) all && exit 0 ;;
esac
q -c "SET client_min_messages TO error; CREATE TABLE IF NOT EXISTS versions (name text PRIMARY KEY)"
case $1 in
    up) up "$2" ;;
    next)
        done=$(applied)
        for name in $(all); do
            case "$done" in
                *"$name"*) ;;
                *) up "$name" && exit 0 ;;
            esac
        done
        ;;
    down)
        name=$(applied | tail -n 1)
        q -1 -f "steps/$name.down" -c "DELETE FROM versions WHERE name = '$name'"
        ;;
esac
