# Removes a container when its owner has ended, for whatever reason. With more arguments, starts it first.
#
# $1 is the name of the container; the remaining arguments are those of `docker` that start it. Standard input is open
# while the owner lives: the first line is the password, then come `started` and `keep`, one word per line.
trap '' HUP INT TERM PIPE
name=$1
shift
read -r POSTGRES_PASSWORD
started=
if [ "$#" -gt 0 ]; then
    export POSTGRES_PASSWORD
    # The owner may be gone when this ends; then its output is lost.
    if said=$(docker "$@" 2>&1); then
        started=yes
        echo started
    else
        echo "failed $said"
    fi
    unset POSTGRES_PASSWORD
    # There is no more output; the reader sees the end of the file.
    exec >/dev/null
fi
keep=
while read -r word; do
    case $word in
        started) started=yes ;;
        keep) keep=yes ;;
    esac
done
[ "$keep" ] && sleep 1800
# If the owner requested a container at the last moment, the engine creates it only after that, and until then reports
# that there is nothing to remove. So the container is gone only if it once existed and no longer does.
tries=10
was_there=$started
while [ "$tries" -gt 0 ]; do
    if ! list=$(docker ps --all --quiet --filter "name=^/?$name\$" 2>/dev/null); then
        # The engine does not answer at the moment.
        :
    elif [ "$list" ]; then
        was_there=yes
        docker rm --force --volumes "$name" >/dev/null 2>&1
    elif [ "$was_there" ]; then
        break
    fi
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] && sleep 1
done
