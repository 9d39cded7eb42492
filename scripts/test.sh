#!/usr/bin/env bash
# Installs what is missing, builds, and runs the whole test suite. PG_PRESET names another build of CMakePresets.json.
#
#   scripts/test.sh [ctest arguments]      e.g. scripts/test.sh -L fast
set -euo pipefail
cd "$(dirname "$0")/.."
cat << 'TEXT'
What happens now, on two idle cores:
  packages   up to 60 s    install with apt-get what packages.txt lists and this machine lacks; headers of cuDNN's
                           front end from PyPI, where there is nvcc
  build      6 to 9 min    the program and its tests into build/, the first time; seconds after that; CUDA kernels too where there is nvcc
  tests      4 to 6 min    all of them; the slowest build the counted sources alone
TEXT
preset=${PG_PRESET:-release}
start=$SECONDS
say() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - start)); }
say "packages"
scripts/install_packages.sh
scripts/fetch_cudnn_frontend.sh
say "build"
scripts/build.sh "$preset"
say "tests"
exec ctest --preset "$preset" --no-tests=error "$@"
