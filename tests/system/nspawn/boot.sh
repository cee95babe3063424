#!/bin/sh
# boot.sh OUT COMMAND...: boots this machine's files, written to memory only, under a systemd of their own, as a
# container without network. The command runs there once it is up, and leaves its files in /mnt/out (OUT here).
# NSPAWN_MORE are further options. Needs root. Prints the console; exits with the command's code.
set -eu
out=$1
shift
EDGED_REPOSITORY=$(cd "$(dirname "$0")/../../.." && pwd) # bound too: it may lie in /tmp, which a container has anew
export EDGED_REPOSITORY
for tree in systemd unified; do # a group of our own, where groups are of version 1
    group=/sys/fs/cgroup/$tree/edged-test-$$
    [ -d "/sys/fs/cgroup/$tree" ] && mkdir "$group" && echo $$ > "$group/cgroup.procs"
done
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
code=0
timeout -k 5 "${LIMIT_S:-170}" unshare --mount --propagation private sh -eu -c '
    out=$1
    shift
    mount -t tmpfs tmpfs /run
    mkdir -p /run/over/upper /run/over/work /run/over/root
    mount -t overlay overlay -o lowerdir=/,upperdir=/run/over/upper,workdir=/run/over/work /run/over/root
    cd /run/over/root
    rm -rf etc/systemd/system/*.wants .dockerenv var/log/journal
    : > etc/fstab
    printf "%s\n" "[Unit]" "DefaultDependencies=no" "Requires=sysinit.target dbus.socket" \
        "After=sysinit.target dbus.socket" "SuccessAction=exit" "FailureAction=exit" "[Service]" "Type=oneshot" \
        "ExecStart=$*" "StandardOutput=tty" "StandardError=inherit" "TTYPath=/dev/console" \
        > etc/systemd/system/edged-test.service
    systemd-nspawn --quiet --register=no --keep-unit --directory=/run/over/root --machine=edged-test --private-network \
        --console=interactive ${NSPAWN_MORE:-} --bind="$out:/mnt/out" --bind="$EDGED_REPOSITORY" --boot systemd.unit=edged-test.service systemd.show_status=no \
        < /dev/null
' sh "$out" "$@" || code=$?
for tree in systemd unified; do
    group=/sys/fs/cgroup/$tree/edged-test-$$
    [ -d "$group" ] || continue
    echo $$ > "/sys/fs/cgroup/$tree/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || true
done
exit $code
