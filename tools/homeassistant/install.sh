#!/bin/sh
# install.sh DIR: Home Assistant in DIR. DIR/command is then the command of its Python.
# It needs Python 3.14: PYTHON_HA, else that of Debian forky, which is unpacked into DIR (as root, with debootstrap).
set -eu
dir=$1 version=2026.11.0
[ ! -e "$dir/command" ] || exit 0
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ -n "${PYTHON_HA:-}" ]; then
    "$PYTHON_HA" -m venv "$dir/venv"
    python="$dir/venv/bin/python"
else
    command -v debootstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq debootstrap >/dev/null; }
    [ -x "$dir/usr/bin/python3.14" ] || debootstrap --variant=minbase --include=python3.14-venv,ca-certificates \
        forky "$dir" "" /usr/share/debootstrap/scripts/sid >/dev/null
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do cp "$file" "$dir$file"; done
    [ -d "$dir/venv" ] || chroot "$dir" python3.14 -m venv /venv
    python="chroot $dir /venv/bin/python"
fi

pip() { $python -m pip install --quiet --disable-pip-version-check "$@"; }
pip "homeassistant==$version"
# What its MQTT integration imports, in the versions that Home Assistant itself would install.
pip $($python -c '
from homeassistant import components
from json import loads
from pathlib import Path
for name in ("mqtt", "hassio"):
    print(*loads((Path(components.__file__).parent / name / "manifest.json").read_text())["requirements"])
')
echo "$python" >"$dir/command"
