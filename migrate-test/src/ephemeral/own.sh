# Runs a server for a single database, and ends it when its owner has ended, for whatever reason.
#
# $1 is the folder of the server, $2 how many seconds it outlives its owner if a database is kept; the remaining
# arguments are the command of the server. Standard input is open while the owner lives; `stop` ends the server and
# leaves its data, `keep` keeps it running for a while. Nothing here requires a program other than the shell, but
# without a program to remove the folder, the next process that sweeps removes it.
trap '' HUP INT TERM PIPE
home=$1 kept=$2
shift 2
cd "$home" || exit 1
pause() {
    if command -v sleep >/dev/null 2>&1; then
        sleep "$1"
    elif [ -z "$(read -r -t 1 _ </dev/null 2>&1)" ]; then
        read -r -t "$1" _ <>pause
    fi
}
exec 3<&0 </dev/null
"$@" >server.log 2>&1 3<&- &
server=$!
{
    keep=
    while read -r word; do
        case $word in
            stop) kill -INT "$server" ;;
            keep) keep=yes ;;
        esac
    done
    [ "$keep" ] && pause "$kept"
    kill -QUIT "$server" 2>/dev/null
    exit 7
} <&3 3<&- &
reader=$!
exec 3<&-
wait "$server"
kill -KILL "$reader" 2>/dev/null
wait "$reader"
if [ "$?" = 7 ] && command -v rm >/dev/null 2>&1; then
    cd / && rm -rf "$home"
fi
