#!/bin/sh
# release.sh DEST [arm64] [amd64]: the files of a release, into one folder; without a name, those of both architectures:
#   edged_VERSION_ARCH.deb               what a box installs, with all its packages
#   edged_VERSION_ARCH-wheelhouse.tar    the same packages and install.sh, for a box without dpkg
#   SHA256SUMS, index.md                 how to check them; what is for which box, and what it was made from
#   SHA256SUMS.sig                       with KEY=FILE in the environment: signed by this key; without, sign it later by
#                                        `sign release KEY DEST`: boxes that trust a key take nothing unsigned
# An architecture of the same version that is in the folder already is listed too.
# Runs on any Linux with Python 3.10 or newer, dpkg-deb and a network: two to ten minutes; it takes 1 GB in /tmp while it
# works, and leaves 0.6 GB for each architecture.
set -eu
[ $# -ge 1 ] || { sed -n '2,10s/^# //p' "$0" >&2; exit 2; }
dest=$1
shift
[ $# -gt 0 ] || set -- arm64 amd64
for arch in "$@"; do # before anything is fetched
    case $arch in
        arm64 | amd64) ;;
        *) echo "release.sh: architecture $arch: want arm64 or amd64" >&2; exit 2 ;;
    esac
done
[ -z "${KEY:-}" ] || [ -f "$KEY" ] || { echo "release.sh: KEY=$KEY: no such file; make one: deploy/sign key $KEY" >&2; exit 2; }
key=${KEY:+$(readlink -f "$KEY")}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)

for arch in "$@"; do
    house=$work/$arch
    case $arch in
        arm64)
            "$here/wheelhouse.sh" "$house" jetson aarch64 3.10 3.12 # JetPack 6, JetPack 7
            "$here/wheelhouse.sh" "$house" plain aarch64 3.11       # Debian 12, Raspberry Pi OS
            ;;
        amd64) "$here/wheelhouse.sh" "$house" plain x86_64 3.10 3.11 3.12 ;; # Ubuntu 22.04, Debian 12, Ubuntu 24.04
    esac
    package=$("$here/deb.sh" "$house" "$dest" | tail -n 1)
    dpkg-deb --fsys-tarfile "$package" > "$work/files.tar"
    mkdir -p "$work/unpacked-$arch"
    tar -C "$work/unpacked-$arch" -xf "$work/files.tar"
    tar -C "$work/unpacked-$arch/usr/lib" -cf "${package%.deb}-wheelhouse.tar" edged # install.sh, systemd, wheelhouse
    rm -rf "$work/files.tar" "$work/unpacked-$arch" "$house"
    version=${package##*/edged_} version=${version%_*}
done

commit=$(git -C "$here" rev-parse HEAD 2> /dev/null || echo unknown)
git -C "$here" diff --quiet HEAD 2> /dev/null || commit="$commit, with changes that are not committed"
cd "$dest"
{
    echo "# edged"
    echo
    echo "Made by \`deploy/release.sh\` on $(date -u +%Y-%m-%d) from commit $commit. The other packages in these files"
    echo "are from the Python index, in the versions that the lists (*.txt) in each wheelhouse name."
    echo
    echo "| file | MB | for |"
    echo "|---|---|---|"
    for file in "edged_${version}_"*; do
        case $file in
            *arm64*) box="Jetson with JetPack 6.1 or newer; Debian 12 on arm64" ;;
            *) box="Debian 12, Ubuntu 22.04 and 24.04 on x86-64" ;;
        esac
        echo "| $file | $(($(wc -c < "$file") / 1000000)) | $box |"
    done
    echo
    echo "The site's boxes take it by \`edged update FOLDER\`, which checks the signature of SHA256SUMS. By hand:"
    echo "\`ssh-keygen -Y verify -f /etc/edged/signers -I edged -n edged-release -s SHA256SUMS.sig < SHA256SUMS\`, then"
    echo "\`sha256sum -c SHA256SUMS\`, then \`dpkg -i edged_….deb\` as root; where there is no dpkg:"
    echo "\`tar -xf edged_…-wheelhouse.tar\`, then \`edged/install.sh\`."
} > index.md
sha256sum "edged_${version}_"* index.md > SHA256SUMS
rm -f SHA256SUMS.sig
[ -z "$key" ] || "$here/sign" release "$key" "$dest"
cat index.md
