#!/usr/bin/env bash
# Fetches the headers of cuDNN's C++ front end from PyPI, which alone has them, into build-cudnn/include, where the build looks
# (cmake/cudnn.cmake). Where there is no nvcc the build needs none; where they cannot be fetched it goes on without cuDNN.
set -euo pipefail
cd "$(dirname "$0")/.."
package=nvidia-cudnn-frontend==1.32.0
folder=build-cudnn

if ! command -v nvcc > /dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then exit 0; fi
if [ "$(cat "$folder/package" 2> /dev/null)" = "$package" ]; then
  echo "fetch_cudnn_frontend: $package is there"
  exit 0
fi
fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
if ! reason=$(python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$fetched" "$package" 2>&1); then
  echo "fetch_cudnn_frontend: $package could not be fetched, the build goes on without cuDNN: $(tail -n 1 <<< "$reason")" >&2
  exit 0
fi
rm -rf "$folder"
python3 - "$fetched"/*.whl "$folder" << 'PY'
import sys
import zipfile
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [name for name in archive.namelist() if name.startswith("include/")])
PY
echo "$package" > "$folder/package"
echo "fetch_cudnn_frontend: $package is in $folder/include"
