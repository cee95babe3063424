#!/bin/sh
# Runs in the test machine as process 1: makes way for a real systemd, which runs the command given and powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /tmp # systemd would tidy up this machine's own
rm -rf /etc/systemd/system/*.wants /.dockerenv /var/log/journal
: > /etc/fstab
ln -sf /dev/null /etc/systemd/system/systemd-hwdb-update.service
printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'Requires=sysinit.target dbus.socket' 'After=sysinit.target dbus.socket' \
    'SuccessAction=poweroff-force' 'FailureAction=poweroff-force' '[Service]' 'Type=oneshot' \
    "ExecStart=/bin/sh -c '$* > /mnt/out/output 2>&1; echo \$? > /mnt/out/code'" > /etc/systemd/system/edged-test.service
exec /lib/systemd/systemd --unit=edged-test.service --show-status=no
