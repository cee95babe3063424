#!/bin/sh
# install.sh: puts edged on this machine: a Jetson with JetPack 6.1 or newer, or any Debian or Ubuntu with systemd and
# Python 3.10 or newer. Run it as root; it can be repeated. Every step is printed before it is done.
#   install.sh [--wheelhouse DIR]   install or upgrade; settings, engines, models and stored messages are kept
#   install.sh --key KEY.pub ...    the same, and trust this key from now on: it must have signed the wheelhouse
#   install.sh --explain            print every step, do nothing
#   install.sh --rollback           return to the previous version
#   install.sh --uninstall          remove the program; settings and engines stay
#   install.sh --purge              remove everything
# The wheelhouse (see wheelhouse.sh) is expected in the folder of this file; without one, in a clone of the repository,
# packages are fetched from the network. On a box that trusts a key, a wheelhouse that is named must be signed by it;
# one that lies beside this file came with it.
set -eu
umask 022
unset PYTHONPATH PYTHONHOME
export ORT_DISABLE_TELEMETRY=1

TOP=/opt/edged              # releases/<version>, current and previous, which are links
SYSTEM=/etc/systemd/system  # and these, of the release in use:
COMMANDS=/usr/local
SERVICE=edged.service
DATA="/etc/edged /var/lib/edged /var/cache/edged"
LEAST_L4T=36.4 # JetPack 6.1
LEAST_FREE_MB=1200
here=$(dirname "$(readlink -f "$0")")
python=/usr/bin/python3 # the system's own: no other has TensorRT
SIGNERS=/etc/edged/signers # the keys this box trusts; see edged trust
explain=no
wheelhouse=
key=
work=
number=0

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

say() {
    printf '   %s\n' "$*"
}

# Prints a step; succeeds if it is to be done.
step() {
    number=$((number + 1))
    printf '%d. %s\n' "$number" "$*"
    [ "$explain" = no ]
}

# The system's Python, which imports nothing from the current folder or the environment.
py() {
    $python -I "$@"
}

# A folder of root's own, removed at the end.
scratch() {
    [ -n "$work" ] && return
    work=$(mktemp -d "$(existing $TOP)/.edged-install-XXXXXX" 2> /dev/null || mktemp -d)
    trap 'rm -rf "$work"' EXIT
}

booted() {
    [ -d /run/systemd/system ]
}

# One line per file of release $1 that is installed outside of it: source, target.
placed() {
    for file in "$1"/deploy/systemd/*; do
        name=${file##*/}
        case $name in
            *.service | *.timer | *.path) echo "$file $SYSTEM/$name" ;;
            *.rules) echo "$file /etc/udev/rules.d/$name" ;;
            edged.sysusers) echo "$file /etc/sysusers.d/edged.conf" ;;
            edged.tmpfiles) echo "$file /etc/tmpfiles.d/edged.conf" ;;
        esac
    done
}

link() { # TARGET NAME, atomically
    ln -sfn "$1" "$2.new"
    mv -T "$2.new" "$2"
}

enabled() { # units started at every boot: the daemon, the paths of its requests, and the nightly update
    (cd $SYSTEM && echo $SERVICE edged-*.path && { [ ! -e edged-update.timer ] || echo edged-update.timer; })
}

release_of() { # current or previous; empty if there is none
    if [ -e "$TOP/$1/whole" ]; then readlink -f "$TOP/$1"; fi
}

configured() {
    for file in /etc/edged/edged.toml /etc/edged/conf.d/*.toml; do
        [ ! -s "$file" ] || return 0
    done
    return 1
}

# --- what this machine is -----------------------------------------------------------------------------------------

look() {
    [ "$(id -u)" = 0 ] || [ "$explain" = yes ] || fail "only root can install; run: sudo $0"
    command -v systemctl > /dev/null || fail "no systemd here; edged runs as its service"
    [ -x $python ] || fail "no $python; run: apt-get install python3"
    version=$(py -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    py -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "Python $version is too old; want 3.10 (Ubuntu 22.04, Debian 12) or newer"
    py -c 'import venv' 2> /dev/null || fail "$python has no venv; run: apt-get install python3-venv"
    py -c 'import systemd.journal' 2> /dev/null ||
        say "python3-systemd is missing; the journal has no structured fields; apt-get install it and run this again"
    arch=$(uname -m)
    kind=plain
    if [ -e /etc/nv_tegra_release ]; then
        kind=jetson
        l4t=$(sed -n 's/^# R\([0-9]*\) (release), REVISION: \([0-9.]*\).*/\1.\2/p;q' /etc/nv_tegra_release)
        newer "$l4t" "$LEAST_L4T" || fail "L4T $l4t is too old; want $LEAST_L4T (JetPack 6.1) or newer"
        py -c 'import tensorrt' 2> /dev/null ||
            say "TensorRT is missing; models run on the CPU; apt-get install nvidia-jetpack and run this again"
    fi
    free_mb=$(df -Pm "$(existing $TOP)" | awk 'NR == 2 { print $4 }')
    [ "$free_mb" -ge $LEAST_FREE_MB ] || fail "$free_mb MB free for $TOP; want $LEAST_FREE_MB; free some space"
}

newer() { # VERSION LEAST
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

existing() { # the nearest folder at or above $1 that is there
    place=$1
    while [ ! -d "$place" ]; do place=$(dirname "$place"); done
    echo "$place"
}

find_wheels() {
    named=$wheelhouse
    wheelhouse=${wheelhouse:-$here/wheelhouse}
    lock=$wheelhouse/$kind-$arch-$version.txt
    if [ -z "$named" ] && [ ! -d "$wheelhouse" ] && [ -x "$here/wheelhouse.sh" ] && [ -e "$here/../pyproject.toml" ]; then
        [ -z "$key" ] || fail "--key: there is no wheelhouse that it could have signed; pass --wheelhouse DIR"
        own=edged-new-
        step "Packages for $kind, $arch, Python $version: fetched from the network" || return 0
        scratch
        wheelhouse=$work/wheelhouse lock=$work/wheelhouse/$kind-$arch-$version.txt
        "$here/wheelhouse.sh" "$wheelhouse" "$kind" "$arch" "$version"
    fi
    [ -d "$wheelhouse" ] || fail "$wheelhouse: no such folder; pass --wheelhouse DIR, made by wheelhouse.sh"
    [ -e "$lock" ] || fail "$wheelhouse has no ${lock##*/}, but: $(cd "$wheelhouse" && echo ./*-*-3.*.txt);" \
        "make one with wheelhouse.sh $wheelhouse $kind $arch $version"
    if [ -n "$named" ]; then
        if [ "$explain" = no ]; then take_copy; fi
        check_signature
    fi
    check_sums
    own=$(cd "$wheelhouse" && echo edged-*.whl)
}

# What was checked must be what is installed: a stick or a shared folder may change in between.
take_copy() {
    scratch
    cp -R --no-dereference "$wheelhouse" "$work/wheelhouse"
    wheelhouse=$work/wheelhouse lock=$work/wheelhouse/${lock##*/}
}

# SHA256SUMS is by a key that this box trusts, or that was given with --key.
check_signature() {
    signers=$SIGNERS
    if [ -n "$key" ]; then
        scratch
        signers=$work/signers
        awk 'NF >= 2 { print "edged namespaces=\"edged-provision,edged-release\" " $1 " " $2 }' "$key" > "$signers"
    fi
    if [ ! -s "$signers" ]; then
        say "this box has no key: the wheelhouse is checked for damage, but nothing says who made it; --key KEY.pub"
        return 0
    fi
    command -v ssh-keygen > /dev/null || fail "no ssh-keygen to check signatures with; run: apt-get install openssh-client"
    [ -f "$wheelhouse/SHA256SUMS.sig" ] || fail "$named is not signed, and this box takes only what is: sign release KEY $named"
    ssh-keygen -Y verify -f "$signers" -I edged -n edged-release -s "$wheelhouse/SHA256SUMS.sig" \
        < "$wheelhouse/SHA256SUMS" > /dev/null 2>&1 || fail "$named is not signed by a key of this box; see: edged trust"
}

# Every file is listed, as it is, and nothing else is there: pip would take a file that only sorts higher.
check_sums() {
    (cd "$wheelhouse" && sha256sum --quiet --strict --check SHA256SUMS) ||
        fail "${named:-$wheelhouse} is damaged; copy it again"
    unlisted=$(cd "$wheelhouse" && find . -mindepth 1 ! -name SHA256SUMS ! -name SHA256SUMS.sig -printf '%y %P\n' | while
        read -r type name; do
            [ "$type" = f ] && awk -v name="$name" 'substr($0, 67) == name { found = 1 } END { exit !found }' SHA256SUMS ||
                echo "$name"
        done)
    [ -z "$unlisted" ] || fail "${named:-$wheelhouse}: not in SHA256SUMS: $(echo "$unlisted" | head -n 3); remove it, or copy it again"
}

# --- a release: its environment, and the files of its service ----------------------------------------------------

# The name contains a hash of all inputs; a complete release is not made again.
name_release() {
    cuda=$(readlink -f /usr/local/cuda || true)
    made_of=$( (cat "$wheelhouse/SHA256SUMS" "$here"/install.sh "$here"/kernels.py "$here"/systemd/*
        echo "$kind $version ${cuda##*/}") 2> /dev/null | sha256sum | cut -c 1-8)
    release=$TOP/releases/$(echo "$own" | cut -d - -f 2)-$made_of
}

make_release() {
    if [ -e "$release/whole" ]; then
        step "Release ${release##*/} is there already" || true
        return 0
    fi
    step "Release ${release##*/}: an environment of its own in $release, half a minute on a PC, minutes on a Jetson" ||
        return 0
    rm -rf "$release"
    mkdir -p "$release/deploy"
    cp -R "$here/install.sh" "$here/kernels.py" "$here/systemd" "$release/deploy/"
    { echo "# $kind, Python $version, ${cuda##*/}" && cat "$lock"; } > "$release/packages.txt"
    if cmp -s "$release/packages.txt" "$TOP/current/packages.txt"; then
        share_environment
    else
        new_environment
    fi
    link_systemd
    pip install --no-deps --force-reinstall "$wheelhouse/$own"
    [ "$kind" = plain ] || for_gpu
    try_release
    sync -f "$release"
    echo "$own" > "$release/whole"
    sync -f "$release"
}

new_environment() {
    system=
    [ "$kind" = plain ] || system=--system-site-packages # TensorRT and OpenCV are JetPack's
    py -m venv --without-pip $system "$release"
    grep -v '^pycuda==' "$release/packages.txt" > "$release/wheels.txt"
    pip install --no-warn-script-location --ignore-installed --no-deps --require-hashes --requirement "$release/wheels.txt"
}

# Links the distribution's systemd module, which has no wheel.
link_systemd() {
    module=$(py -c 'import os, systemd; print(os.path.dirname(systemd.__file__))' 2> /dev/null) || return 0
    for packages in "$release"/lib/python3*/site-packages; do
        ln -sfn "$module" "$packages/systemd"
    done
}

# The packages are those of the release in use: hard links save minutes and 400 MB.
share_environment() {
    say "its packages are those of the release in use"
    for part in bin include lib lib64 pyvenv.cfg; do
        [ ! -e "$TOP/current/$part" ] || cp -al "$TOP/current/$part" "$release/"
    done
}

pip() { # installs from the wheelhouse only
    set -- "$@" --no-index --find-links "$wheelhouse" --quiet
    "$release/bin/python" -I "$(echo "$wheelhouse"/pip-*.whl)/pip" --isolated --disable-pip-version-check "$@"
}

# Builds for the installed CUDA; what cannot be built is reported and left out.
for_gpu() {
    gpu_binding
    package=$(echo "$release"/lib/python*/site-packages/edged/inference)
    NVCC=$cuda/bin/nvcc "$release/bin/python" "$release/deploy/kernels.py" "$package" > "$release/kernels.log" 2>&1 ||
        say "the CUDA kernels could not be compiled ($release/kernels.log): frames pass through host memory"
}

# pycuda has no wheel: it is built here once per CUDA and Python and saved, unless the wheelhouse has one.
gpu_binding() {
    built=$TOP/wheels/$version-${cuda##*/}
    wanted=$(sed -n 's/^\(pycuda==[^ ]*\).*/\1/p' "$lock")
    pip install --no-deps --only-binary :all: --find-links "$built" "$wanted" 2> /dev/null && return 0
    say "building pycuda for ${cuda:-CUDA, which is not installed}: 4 to 8 minutes"
    mkdir -p "$built"
    echo 'CUDA_ENABLE_CURAND = False' > "$built/.aksetup-defaults.py" # its header is in a package that is rarely installed
    if (export HOME="$built" CUDA_ROOT="$cuda" PATH="$cuda/bin:$PATH"
        pip wheel --no-deps --wheel-dir "$built" "$wanted") > "$built/log" 2>&1; then
        pip install --no-deps --find-links "$built" "$wanted"
    else
        tail -n 5 "$built/log"
        say "pycuda could not be built (log: $built/log). Models run on the CPU. Install these and run this" \
            "installer again: g++, python3-dev, and of CUDA nvcc and cudart-dev"
    fi
}

# Before the release is used: it starts, finds its libraries, and accepts the present settings.
try_release() {
    "$release/bin/python" -I -c 'import cv2, onnxruntime, edged.daemon' ||
        fail "$release does not start; nothing is changed"
    configured || return 0
    "$release/bin/edged" check ||
        fail "these settings are not valid for $("$release/bin/edged" --version); nothing is changed; correct them and run again"
}

# --- taking a release into use -----------------------------------------------------------------------------------

take() { # RELEASE
    if step "Units, udev rules, user: those of ${1##*/}"; then put "$1"; fi
    if step "Commands: $COMMANDS/bin/edged, $COMMANDS/sbin/edged-install; $TOP/current is ${1##*/}"; then
        switch "$1"
    fi
}

put() {
    now=$(release_of current)
    placed "$1" > "$1/placed"
    while read -r from to; do
        mkdir -p "${to%/*}"
        install -m 644 "$from" "$to.new"
        mv "$to.new" "$to"
    done < "$1/placed"
    if [ -n "$now" ]; then # files that only the previous release had
        awk '{ print $2 }' "$now/placed" | grep -vxF -e "$(awk '{ print $2 }' "$1/placed")" | xargs -r rm -f
    fi
    systemd-sysusers /etc/sysusers.d/edged.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/edged.conf
}

switch() {
    now=$(release_of current)
    if [ "$now" != "$1" ]; then
        [ -z "$now" ] || link "releases/${now##*/}" $TOP/previous
        link "releases/${1##*/}" $TOP/current
    fi
    mkdir -p $COMMANDS/bin $COMMANDS/sbin $TOP/incoming
    chmod 700 $TOP/incoming
    link $TOP/current/bin/edged $COMMANDS/bin/edged
    link $TOP/current/deploy/install.sh $COMMANDS/sbin/edged-install
    sync -f $TOP
}

# Succeeds if the daemon started, or if nothing could be started.
start() {
    step "Service: started at every boot, and now if there are settings" || return 0
    # shellcheck disable=SC2046  # a list of names
    systemctl --quiet enable $(enabled)
    if ! booted; then
        say "systemd does not run here: the service starts with the next boot"
        return 0
    fi
    systemctl daemon-reload
    if udevadm control --reload 2> /dev/null; then udevadm trigger --subsystem-match=video4linux; fi
    # shellcheck disable=SC2046
    systemctl restart $(enabled | tr '\n' ' ' | cut -d ' ' -f 2-)
    systemctl reset-failed $SERVICE 2> /dev/null || true
    if ! configured; then
        say "no settings yet: put edged-provision.toml onto a USB stick and plug it in, or write /etc/edged/edged.toml"
        return 0
    fi
    if [ "$former" = "$release" ] && systemctl --quiet is-active $SERVICE; then
        say "it already runs with this release"
        return 0
    fi
    systemctl restart $SERVICE && say "it is ready; its state: systemctl status edged"
}

# --- the tasks ---------------------------------------------------------------------------------------

install_or_upgrade() {
    look
    find_wheels
    name_release
    former=$(release_of current) earlier=$(release_of previous)
    running=no
    ! booted || ! systemctl --quiet is-active $SERVICE || running=yes
    make_release
    take "$release"
    start || unwell
    trust_key
    finish
}

# The key that signed this wheelhouse is the box's from now on.
trust_key() {
    if [ -n "$key" ]; then
        step "Key: $key signs sticks and releases of this box" || return 0
        "$TOP/current/bin/edged" trust "$key"
    fi
    [ "$explain" = yes ] || [ -s $SIGNERS ] || say "this box has no key: it takes no update by itself; edged trust KEY.pub"
}

# The new release does not start. If the previous one ran, it is restored.
unwell() {
    journalctl --unit=$SERVICE --lines=15 --no-pager --output=cat >&2 || true
    if [ "$running" = no ] || [ -z "$former" ] || [ "$former" = "$release" ]; then
        say "installed, but the daemon did not start (see above); correct it and run: systemctl restart edged"
        return 0
    fi
    say "${release##*/} did not start (see above); back to ${former##*/}"
    take "$former"
    start || true
    if [ -n "$earlier" ]; then link "releases/${earlier##*/}" $TOP/previous; else rm $TOP/previous; fi
    rm -rf "$release"
    fail "${former##*/} is in use as before"
}

finish() {
    step "Check: edged doctor as the user of the service" || return 0
    for old in "$TOP"/releases/*; do
        [ "$old" = "$(release_of current)" ] || [ "$old" = "$(release_of previous)" ] || rm -rf "$old"
    done
    if booted; then
        # With the credentials of the service. Its own copy of them is hidden from the unit that updates.
        # shellcheck disable=SC2046 # a property for each line
        systemd-run --quiet --wait --pipe --collect --uid=edged --gid=edged \
            $(sed -n 's/^LoadCredential=/--property=&/p' "$SYSTEM/$SERVICE.d/50-credentials.conf" 2> /dev/null) \
            "$TOP/current/bin/edged" doctor --quick || true
    else
        setpriv --reuid=edged --regid=edged --init-groups "$TOP/current/bin/edged" doctor --quick || true
    fi
    say "done: $("$TOP/current/bin/edged" --version), ${release##*/}"
}

rollback() {
    look
    former=$(release_of current) previous=$(release_of previous)
    [ -n "$previous" ] || fail "there is no previous version"
    release=$previous running=no
    ! configured || [ "$explain" = yes ] || try_release
    take "$previous"
    start || fail "the daemon did not start: journalctl -u edged"
    finish
}

uninstall() {
    if step "Stop $SERVICE and its units"; then stop; fi
    step "Remove units, udev rules, commands and $TOP; ${1:-settings, engines and models stay}: $DATA" || return 0
    cat $TOP/releases/*/placed 2> /dev/null | awk '{ print $2 }' | xargs -r rm -f
    rm -f $COMMANDS/bin/edged $COMMANDS/sbin/edged-install
    rm -rf $TOP /var/lib/systemd/timers/stamp-edged-*.timer
    ! booted || systemctl daemon-reload
}

stop() {
    # shellcheck disable=SC2046
    systemctl --quiet disable $(enabled) 2> /dev/null || true
    booted || return 0
    # shellcheck disable=SC2046
    systemctl stop 'edged-*.timer' $(enabled) 2> /dev/null || true
    systemctl reset-failed $SERVICE 2> /dev/null || true
}

purge() {
    uninstall "what is left then"
    step "Remove settings, engines, models, stored messages and the user: $DATA" || return 0
    # shellcheck disable=SC2086
    rm -rf $DATA $SYSTEM/$SERVICE.d
    if getent passwd edged > /dev/null; then userdel edged; fi
    ! booted || systemctl daemon-reload
}

task=install_or_upgrade
while [ $# -gt 0 ]; do
    case $1 in
        --wheelhouse) wheelhouse=$(readlink -m "${2:?a folder}") && shift ;;
        --key) key=$(readlink -e "${2:?a file}") || fail "--key $2: no such file" && shift ;;
        --explain) explain=yes ;;
        --rollback) task=rollback ;;
        --uninstall) task=uninstall ;;
        --purge) task=purge ;;
        --help | -h) task=usage ;;
        *) sed -n '2,12s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift
done
cd / # nothing is imported or run from where this was called
[ $task != usage ] || { sed -n '2,12s/^# \{0,1\}//p' "$here/install.sh"; exit 0; }
$task
