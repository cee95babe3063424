#!/bin/sh
# boot.sh KERNEL_FOLDER OUT COMMAND...: runs a command in a machine with virtual cameras at /dev/video0 and /dev/video1.
# The command sees this machine's files, and leaves its own in /mnt/out (OUT here). Emulated: needs no KVM.
# no_timer_check: the kernel's own check of its clock fails on a machine that is busy.
# FIRST is its first process, guest.sh or guest-systemd.sh; QEMU_MORE are further options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1
out=$2
shift 2
exec nice -n -10 timeout -k 5 "${LIMIT_S:-140}" qemu-system-x86_64 \
    -M q35 -accel tcg,thread=multi,tb-size=512 -cpu max -m 1536 -smp 2 \
    -nographic -no-reboot -nodefaults -serial stdio -device virtio-rng-pci \
    -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd.gz" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="$out",mount_tag=out,security_model=none \
    -append "console=ttyS0 panic=-1 quiet loglevel=3 mitigations=off no_timer_check random.trust_cpu=on -- $here/${FIRST:-guest.sh} $*" \
    ${QEMU_MORE:-} </dev/null
