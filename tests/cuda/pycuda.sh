#!/bin/sh
# Builds pycuda into the environment of the Python given. It comes as source only; of the CUDA toolkit it needs nvcc and
# the headers, but neither cuRAND nor a driver: what it links against may be empty, and is named all the same. Compiled
# without optimisation: a third less of minutes, and it only passes calls on.
set -eu
python=$1
if "$python" -c 'import importlib.util as u; raise SystemExit(u.find_spec("pycuda") is None)'; then exit 0; fi
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "no nvcc: install the CUDA toolkit to build pycuda" >&2; exit 1; }
root=/usr/local/cuda
[ -e "$root/include/cuda.h" ] || root=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary pycuda --dest "$folder" pycuda==2026.1
tar -xzf "$folder"/pycuda-*.tar.gz -C "$folder"
: | cc -shared -x c - -Wl,-soname,libcuda.so.1 -o "$folder/libcuda.so"
cat > "$(echo "$folder"/pycuda-*/)siteconf.py" <<CONF
CUDA_ROOT = '$root'
CUDA_ENABLE_CURAND = False
CUDADRV_LIB_DIR = ['$folder']
CUDART_LIB_DIR = ['$root/lib64']
CONF
CFLAGS="-O0 -g0" PATH="$root/bin:$PATH" LDFLAGS="-Wl,--no-as-needed" \
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps "$folder"/pycuda-*/
"$python" -m pip install --quiet --disable-pip-version-check 'pytools>=2011.2' mako platformdirs siphash24
