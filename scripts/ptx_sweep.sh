#!/usr/bin/env bash
# Every kernel by the PTX that nvcc made of it, executed on the host: all kernel tests and every op case of up to 25,000
# elements, under eight schedules each. Writes what it found, with the entries that no test ran, to docs/ptx_sweep.txt.
# Needs nvcc; takes some three minutes for each architecture whose instructions differ from those before it.
#
#   scripts/ptx_sweep.sh
set -euo pipefail
cd "$(dirname "$0")/.."
result=docs/ptx_sweep.txt
filter='*Kernel.*:*OpSchedules*:*PtxOps*'

if ! command -v nvcc > /dev/null; then
  echo "not run: there is no nvcc, so there is no PTX" >&2
  exit 77
fi
scripts/build.sh release simt_test
log=build/ptx_sweep.log
commit=$(git describe --always --dirty)  # before the result is written

# instructions <architecture>: a digest of all PTX but the lines that name the architecture.
instructions() { cat build/kernels_ptx/*."$1".ptx | grep -v '^\.target' | sha256sum; }

{
  echo "# What scripts/ptx_sweep.sh found: $(date -u +%F), commit $commit, $(nvcc --version | grep -o 'V[0-9.]*$')"
  seen=()
  for architecture in compute_80 compute_90 compute_100; do
    [ -e build/kernels_ptx/rmsnorm."$architecture".ptx ] || continue
    digest=$(instructions "$architecture")
    if [[ " ${seen[*]} " == *" $digest "* ]]; then
      echo "$architecture: the same instructions as an architecture above, in every file"
      continue
    fi
    seen+=("$digest")
    start=$SECONDS
    code=0
    PG_KERNELS_BY_PTX=$architecture PG_PTX_MOST_ELEMENTS=25000 build/tests/simt_test --gtest_brief=1 --gtest_filter="$filter" \
      > "$log" 2>&1 || code=$?
    echo "$architecture: $([ $code -eq 0 ] && echo passed || echo FAILED) after $((SECONDS - start)) s"
    grep -E '^ptx: |^\[  (PASSED|FAILED)|Failure' "$log" | c++filt -n | sed -E 's/^\[ +//; s/ +\] */ /; s/^/  /'
  done
} | tee "$result"
