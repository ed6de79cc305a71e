# Removes a container when whoever wanted it is gone, however that ended; with arguments, starts it first.
#
# $1 is the name of the container; what follows are the arguments of `docker` that start it. Standard input is open
# while its owner lives: the first line is the password, then come `started` and `keep`, a word a line.
trap '' HUP INT TERM PIPE
name=$1
shift
read -r POSTGRES_PASSWORD
started=
if [ "$#" -gt 0 ]; then
    export POSTGRES_PASSWORD
    # The owner may be gone when this ends; what it says goes nowhere then.
    if said=$(docker "$@" 2>&1); then
        started=yes
        echo started
    else
        echo "failed $said"
    fi
    unset POSTGRES_PASSWORD
    # There is no more to say, and whoever reads sees the end.
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
# An engine that was asked for a container in the last moment of its owner makes it after that, and one that is about to
# make it says that there is nothing to remove: it is gone when it was there once, and is not any more.
tries=10
was_there=$started
while [ "$tries" -gt 0 ]; do
    if ! list=$(docker ps --all --quiet --filter "name=^/?$name\$" 2>/dev/null); then
        # The engine does not answer now.
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
