# Keeps a shared server running while it has users, and ends it afterwards.
#
# $1 is the folder of the server, $2 its pid, $3 how many seconds it outlives its last user, $4 how many if a database
# was kept; the remaining arguments are the command that ends it. Users hold the FIFO `alive` open and write a byte into
# it when they arrive. End of file on the FIFO means that all users have ended, for whatever reason.
#
# Nothing here requires a program other than the shell. `sleep` is used if there is one, otherwise `read -t`; without
# both, the server ends with its last user.
trap '' HUP INT
home=$1 server=$2 linger=$3 kept=$4
shift 4
cd "$home" || exit 1
lives() { [ "$server" = 0 ] || kill -0 "$server" 2>/dev/null; }
watch() {
    known='' left=0
    while lives; do
        : >seen
        { read -r _ && echo yes >seen; while read -r _; do :; done; } <alive &
        reader=$!
        tick=0
        while [ ! -s seen ] && lives; do
            token=
            read -r token 2>/dev/null <keep
            if [ "$token" != "$known" ]; then
                known=$token
                left=$((kept * 5))
            fi
            [ "$tick" -lt "$((linger * 5))" ] || [ "$left" -gt 0 ] || break
            pause
            tick=$((tick + 1))
            left=$((left - 1))
        done
        if [ -s seen ]; then
            wait "$reader"
            continue
        fi
        # Nobody arrived. A user who arrives now sees this word, and waits for the outcome.
        echo yes >stopping
        pause
        if [ -s seen ] && lives; then
            : >stopping
            wait "$reader"
            continue
        fi
        kill "$reader" 2>/dev/null
        break
    done
}
# `read -t` is tested before it is used.
# shellcheck disable=SC3045
if command -v sleep >/dev/null 2>&1; then
    pause() { sleep 0.2; }
    watch
elif [ -z "$(read -r -t 1 _ </dev/null 2>&1)" ]; then
    pause() { read -r -t 0.2 _ <>pause; }
    watch
else
    # Opening the FIFO for reading and writing does not block, even if its users are already gone.
    exec 4<>alive
    { exec 4>&-; while read -r _; do :; done; } <alive &
    reader=$!
    exec 4>&-
    wait "$reader"
fi
echo yes >stopping
# Done before the server ends: afterwards this could be the file of the next shell.
: >supervisor.pid
"$@"
