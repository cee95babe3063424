#!/bin/sh
# Runs in the test machine as process 1: devices, the script given, its exit code, power off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
cp "$(dirname "$0")/../../../deploy/systemd/70-edged.rules" /etc/udev/rules.d/
# vivid's cameras are all plugged in at one place: its name leads to the first.
echo 'KERNEL=="video1", OPTIONS+="link_priority=-1"' > /etc/udev/rules.d/71-first.rules
/lib/systemd/systemd-udevd --daemon
udevadm trigger --subsystem-match=video4linux
udevadm settle --timeout=20
"$@" > /mnt/out/output 2>&1
echo $? > /mnt/out/code
sync
echo o > /proc/sysrq-trigger
sleep 60
