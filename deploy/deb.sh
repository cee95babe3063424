#!/bin/sh
# deb.sh WHEELHOUSE DEST: a package for Debian, Ubuntu and JetPack, from the wheelhouse and this folder. It installs the
# installer to /usr/lib/edged and runs install.sh: the environment is made on the box, with the box's Python and, on a
# Jetson, its TensorRT. Needs dpkg-deb. Prints the path of the package.
set -eu
[ $# = 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
wheelhouse=$1 dest=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
share=$root/usr/lib/edged

case $(cd "$wheelhouse" && echo ./*-x86_64-*.txt ./*-aarch64-*.txt) in
    *./\*-aarch64-*) arch=amd64 ;;
    *./\*-x86_64-*) arch=arm64 ;;
    *) echo "deb.sh: $wheelhouse: want one of wheelhouse.sh, for one architecture" >&2; exit 2 ;;
esac
# As dpkg sorts it: a candidate, which Python writes 1.0rc1, is older than its release.
version=$(cd "$wheelhouse" && echo edged-*.whl | cut -d - -f 2 | sed -E 's/\.?dev/~~dev/; s/(a|b|rc)([0-9])/~\1\2/')

mkdir -p "$share" "$root/usr/share/doc/edged" "$root/DEBIAN" "$dest"
chmod 755 "$work" "$root"
cp -R "$here/install.sh" "$here/kernels.py" "$here/systemd" "$share"
cp -R "$wheelhouse" "$share/wheelhouse"
cat "$here/../NOTICE" "$here/../LICENSE" > "$root/usr/share/doc/edged/copyright" # Debian Policy 12.5
chmod -R u=rwX,go=rX "$root/usr"

cat > "$root/DEBIAN/control" << END
Package: edged
Version: $version
Architecture: $arch
Maintainer: the edged project <edged@localhost>
Depends: python3 (>= 3.10), systemd (>= 247), passwd, util-linux, openssh-client
Recommends: python3-systemd, udev
Installed-Size: $(du -sk "$share" | cut -f 1)
Section: misc
Priority: optional
Description: pose appliance for edge cameras
 Cameras in, keypoints and health out over MQTT. The service's environment is
 made at installation, in /opt/edged, without a network; the version before is
 kept: edged-install --rollback.
END

script() { # NAME: its text comes from the standard input
    { echo '#!/bin/sh' && cat; } > "$root/DEBIAN/$1"
    chmod 755 "$root/DEBIAN/$1"
}

script postinst << 'END'
set -e
[ "$1" = configure ] || exit 0
exec /usr/lib/edged/install.sh
END
script prerm << 'END'
set -e
[ "$1" = remove ] || exit 0 # in an upgrade the daemon runs until the new one takes over
exec /usr/lib/edged/install.sh --uninstall
END
# The files of the package are gone when this runs: it contains the installer.
# shellcheck disable=SC2016
{ echo '[ "$1" = purge ] || exit 0' && echo 'set -- --purge' && cat "$here/install.sh"; } | script postrm

package=$dest/edged_${version}_$arch.deb
dpkg-deb --root-owner-group -Znone --build "$root" "$package" > /dev/null # wheels are already compressed
echo "$package"
