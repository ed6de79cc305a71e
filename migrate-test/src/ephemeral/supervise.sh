# Lets a shared server live while somebody uses it, and ends it afterwards.
#
# $1 is the folder of the server, $2 its process, $3 how many seconds it outlives its last user;
# what follows is the command that ends it. Users hold the FIFO `alive` open and write a byte into
# it when they come; the end of the FIFO is the end of all of them, however they ended.
trap '' HUP INT
home=$1 server=$2 linger=$3
shift 3
cd "$home" || exit 1
wanted() { [ "$(date +%s)" -lt "$(cat keep 2>/dev/null || echo 0)" ]; }
lives() {
    [ "$server" = 0 ] && return 0
    if [ -d /proc/self ]; then [ -d "/proc/$server" ]; else ps -p "$server" >/dev/null 2>&1; fi
}
while lives; do
    : >seen
    cat alive >seen 2>/dev/null &
    reader=$!
    tick=0
    while [ ! -s seen ] && lives && { [ "$tick" -lt "$((linger * 5))" ] || wanted; }; do
        sleep 0.2
        tick=$((tick + 1))
    done
    if [ -s seen ]; then
        wait "$reader"
        continue
    fi
    # Nobody came. Whoever comes now sees this folder, and waits for what becomes of it.
    mkdir stopping 2>/dev/null
    sleep 0.1
    if [ -s seen ] && lives; then
        rmdir stopping
        wait "$reader"
        continue
    fi
    kill "$reader" 2>/dev/null
    break
done
rm -f alive
"$@"
rm -rf stopping seen keep supervisor.pid
