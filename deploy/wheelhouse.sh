#!/bin/sh
# wheelhouse.sh DEST KIND ARCH PYTHON...: downloads all packages of a box from the Python index into one folder, so
# that install.sh needs no network. KIND is plain or jetson, ARCH x86_64 or aarch64, PYTHON 3.10, 3.12, ...:
#   wheelhouse.sh wheelhouse jetson aarch64 3.10 3.12     JetPack 6.1 and newer, JetPack 7.2 and newer
#   wheelhouse.sh wheelhouse plain x86_64 3.11            Debian 12
# Runs on any Linux with Python 3.10 or newer and a network. Versions are resolved for the box, not for this machine (plain:
# those that are tested, tests/constraints.txt), and written to KIND-ARCH-PYTHON.txt, each with the hash of its file. pycuda has no wheel: its source is included, and built on the box.
# Not in it: systemd-python, which is the distribution's package python3-systemd.
set -eu
[ $# -ge 4 ] || { sed -n '2,9s/^# //p' "$0" >&2; exit 2; }
dest=$1 kind=$2 arch=$3
shift 3
case $kind in
    plain) extra=headless ;;
    jetson) extra=jetson ;;
    *) echo "wheelhouse.sh: kind $kind: want plain or jetson" >&2; exit 2 ;;
esac
case $arch in
    x86_64 | aarch64) ;;
    *) echo "wheelhouse.sh: architecture $arch: want x86_64 or aarch64" >&2; exit 2 ;;
esac
UV=0.13.9 PIP=26.3 SETUPTOOLS=84.2.1 WHEEL=0.48.0 # so that wheelhouses of one version do not differ
GLIBC="17 24 26 27 28 31 34 35" # 2.35 is Ubuntu 22.04's: JetPack 6
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)

pip() {
    "$work/tools/bin/python" -m pip "$@" --quiet --disable-pip-version-check
}

# Packages of the box: this one, pip, which not every distribution has, and the build tools of pycuda.
wanted() {
    echo "edged[$extra,cbor,panel] @ file://$work/edged"
    echo "pip==$PIP"
    [ "$kind" = plain ] || printf '%s\n' "setuptools==$SETUPTOOLS" "wheel==$WHEEL"
}

python3 -m venv "$work/tools"
pip install "uv==$UV"
mkdir "$work/edged"
(cd "$repository" && cp -R pyproject.toml README.md LICENSE NOTICE edged engines deploy "$work/edged")
# CUDA kernels are compiled on the box, with its CUDA; set NVCC=/path to include kernels in the wheel.
export NVCC="${NVCC:-no}"
rm -f "$work/edged/edged/inference/cuda/kernels.fatbin"
pip wheel --no-deps --wheel-dir "$work/own" "$work/edged"
rm -f "$dest"/edged-*.whl
mv "$work/own"/edged-*.whl "$dest"

platforms="--platform manylinux2014_$arch"
for minor in $GLIBC; do
    platforms="$platforms --platform manylinux_2_${minor}_$arch"
done
wanted > "$work/wanted.in"
constraints=/dev/null
[ "$kind" != plain ] || constraints=$repository/tests/constraints.txt

# Adds to every line of the lock the hash of its file, which is in the wheelhouse by now.
hash_lock() {
    python3 - "$1" << 'END'
import hashlib, pathlib, re, sys
lock = pathlib.Path(sys.argv[1])
files = {}
for path in [*lock.parent.glob("*.whl"), *lock.parent.glob("*.tar.gz")]:
    name, version = path.name.removesuffix(".tar.gz").split("-")[:2]
    files.setdefault((re.sub("[-_.]+", "-", name).lower(), version), []).append(path)
lines = []
for line in lock.read_text().split():
    name, version = line.split("==")
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files[re.sub("[-_.]+", "-", name).lower(), version])]
    lines.append(line + "".join(f" --hash=sha256:{one}" for one in hashes) + "\n")
lock.write_text("".join(lines))
END
}

for python in "$@"; do
    lock=$dest/$kind-$arch-$python.txt
    echo "$kind, $arch, Python $python"
    "$work/tools/bin/uv" pip compile --quiet --no-header --no-annotate --python-version "$python" \
        --constraint "$constraints" --python-platform "$arch-manylinux_2_35" "$work/wanted.in" | grep -v '^edged ' > "$lock"
    grep -v '^pycuda==' "$lock" > "$work/binary.txt"
    # shellcheck disable=SC2086  # a list of options
    pip download --no-deps --only-binary :all: --python-version "$python" $platforms --dest "$dest" \
        --requirement "$work/binary.txt"
    source=$(grep '^pycuda==' "$lock" || true)
    if [ -n "$source" ] && [ ! -e "$dest/pycuda-${source#*==}.tar.gz" ]; then
        pip download --no-deps --no-binary pycuda --dest "$dest" "$source"
    fi
    hash_lock "$lock"
done
# shellcheck disable=SC2094  # it leaves itself out
(cd "$dest" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum > SHA256SUMS)
du -sh "$dest" | sed 's/\t/  /'
