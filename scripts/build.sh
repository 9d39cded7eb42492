#!/usr/bin/env bash
# Configures and builds a preset of CMakePresets.json, with ccache where there is one.
#
#   scripts/build.sh [preset] [target...]      default: release, everything
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true

launcher=()
if command -v ccache > /dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset "$preset" "${launcher[@]}"
targets=()
if [ $# -gt 0 ]; then
  targets=(--target "$@")
fi
cmake --build --preset "$preset" "${targets[@]}"
