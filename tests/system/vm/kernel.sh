#!/bin/sh
# Fetches Debian's kernel, for its virtual camera (vivid) and USB sticks, and packs the modules that tests need into an initramfs.
# Leaves vmlinuz and initrd.gz in the cache folder; does nothing when they are there. Prints the folder.
set -eu

cache="${XDG_CACHE_HOME:-$HOME/.cache}/edged-tests/vm"
here=$(cd "$(dirname "$0")" && pwd)
if [ -e "$cache/initrd.gz" ] && [ "$cache/initrd.gz" -nt "$here/init" ] && [ "$cache/initrd.gz" -nt "$0" ]; then
    echo "$cache"
    exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
apt-get download -qq "$package" >/dev/null 2>&1
dpkg -x ./*.deb kernel
version=$(ls kernel/lib/modules)
depmod -b kernel "$version"

mkdir -p root/bin root/proc root/sys root/dev root/modules root/host root/overlay root/new
cp /bin/busybox root/bin/
number=100
for module in virtio_pci 9p 9pnet_virtio overlay vivid xhci_pci usb-storage sd_mod vfat nls_cp437 nls_ascii; do
    modprobe -d kernel -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
    cp "$file" "root/modules/$number-$(basename "$file")"
    number=$((number + 1))
done
install -m 755 "$here/init" root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) > "$cache/initrd.new"
cp "kernel/boot/vmlinuz-$version" "$cache/vmlinuz"
mv "$cache/initrd.new" "$cache/initrd.gz"
echo "$cache"
