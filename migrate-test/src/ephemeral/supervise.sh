# Lets a shared server live while somebody uses it, and ends it afterwards.
#
# $1 is the folder of the server, $2 its process, $3 how many seconds it outlives its last user, $4 how many when a
# database was kept; what follows is the command that ends it. Users hold the FIFO `alive` open and write a byte into
# it when they come; the end of the FIFO is the end of all of them, however they ended.
#
# Nothing here needs a program beside the shell. `sleep` is used where there is one, then `read -t`; a shell that has
# neither ends the server with its last user.
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
        # Nobody came. Whoever comes now sees this word, and waits for what becomes of it.
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
# `read -t` is tried before it is used.
# shellcheck disable=SC3045
if command -v sleep >/dev/null 2>&1; then
    pause() { sleep 0.2; }
    watch
elif [ -z "$(read -r -t 1 _ </dev/null 2>&1)" ]; then
    pause() { read -r -t 0.2 _ <>pause; }
    watch
else
    # Open for both ways the FIFO waits for nobody, also where its users are gone already.
    exec 4<>alive
    { exec 4>&-; while read -r _; do :; done; } <alive &
    reader=$!
    exec 4>&-
    wait "$reader"
fi
echo yes >stopping
# Before the server ends: afterwards this would be the file of the next shell.
: >supervisor.pid
"$@"
