#!/bin/sh
# Installs what the tests in tests/system need beyond Python, on Debian or Ubuntu, as root. Quiet, and again a no-op.
set -eu

PACKAGES="python3-systemd libsystemd-dev pkg-config gcc systemd-container mosquitto mosquitto-clients nats-server postgresql qemu-system-x86 busybox-static cpio kmod udev iproute2 chromium ca-certificates"

missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
exec "$(dirname "$0")/vm/kernel.sh"
