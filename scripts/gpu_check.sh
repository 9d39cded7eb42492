#!/usr/bin/env bash
# What to run first on a machine with a GPU: the self-test's page, every op under compute-sanitizer, the speed of a record's step.
# The pages go into FOLDER; send them with a report of anything that is wrong.
#
#   scripts/gpu_check.sh [FOLDER]      default: gpu_check
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-gpu_check}
if ! nvidia-smi > /dev/null 2>&1; then
  echo "gpu_check: nvidia-smi finds no GPU; on a CPU use: build/train_gpt selftest" >&2
  exit 1
fi
scripts/fetch_cudnn_frontend.sh
scripts/build.sh cuda
mkdir -p "$folder"
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv | tee "$folder/gpu.txt"

failed=()
# page NAME command...: its output into the folder and onto the screen.
page() {
  local name=$1
  printf '\n== %s\n' "$name"
  "${@:2}" 2>&1 | tee "$folder/$name.txt" || failed+=("$name")
}
page selftest build-cuda/train_gpt selftest --device cuda
if why=$(build-cuda/tests/selftest --device cuda:cudnn --filter lerp --ops-only 2>&1); then
  page selftest_cudnn build-cuda/train_gpt selftest --device cuda:cudnn
else
  tail -n 1 <<< "$why" | tee "$folder/selftest_cudnn.txt"
fi
page selftest_f32 build-cuda/train_gpt selftest --device cuda:f32 --ops-only
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    page "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 build-cuda/tests/selftest --device cuda --ops-only
  done
else
  echo "compute-sanitizer is not installed (it comes with the CUDA toolkit): not run" | tee "$folder/sanitizer.txt"
fi
if [ ${#failed[@]} -gt 0 ]; then
  printf '\ngpu_check: FAILED: %s; the pages are in %s\n' "${failed[*]}" "$folder" >&2
  exit 1
fi
printf '\ngpu_check: passed; the pages are in %s\n' "$folder"
