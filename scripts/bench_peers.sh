#!/usr/bin/env bash
# Times our training step against PyTorch's on the same two model shapes, in turns within one run, and prints the
# median ratio of five turns. Installs PyTorch (from PyPI, about 3 GB with the CUDA libraries its default wheel insists on)
# into a scratch environment under the build folder, once.
#
#   scripts/bench_peers.sh [turns]
set -euo pipefail
cd "$(dirname "$0")/.."
turns=${1:-5}
program=${TRAIN_GPT:-build/train_gpt}
environment=${PEERS_ENV:-build/peers_env}
[ -x "$program" ] || { echo "bench_peers: no program at \"$program\"; build it first with scripts/test.sh" >&2; exit 1; }
if [ ! -x "$environment/bin/python" ]; then
  echo "bench_peers: installing PyTorch into $environment" >&2
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q torch==2.8.0 numpy
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for shape in small record; do
  for turn in $(seq "$turns"); do
    ours=$("$program" bench train --shape "$shape" --steps 5 --json)
    peer=$("$environment/bin/python" scripts/bench_peers.py --shape "$shape" --steps 2)
    echo "$ours" "$peer" | tee -a "$results" >&2
  done
done
python3 - "$results" <<'PYTHON'
import json, statistics, sys

rows = {}
decoder = json.JSONDecoder()
for line in open(sys.argv[1]):
    ours, end = decoder.raw_decode(line)
    peer = json.loads(line[end:])
    rows.setdefault(ours["shape"], []).append((ours, peer))
print("| shape | parameters | T | ours tok/s | PyTorch tok/s | ratio (median) | ratios |")
print("|---|---|---|---|---|---|---|")
for shape, pairs in rows.items():
    ratios = sorted(o["tokens_per_s"] / p["tokens_per_s"] for o, p in pairs)
    o, p = pairs[0]
    median = lambda side: statistics.median(pair[side]["tokens_per_s"] for pair in pairs)
    print(f"| {shape} | {o['params']:,} | {o['seq_len']} | {median(0):,.0f} | {median(1):,.0f} | "
          f"{statistics.median(ratios):.2f} | {' '.join(f'{r:.2f}' for r in ratios)} |")
print(f"torch {p['torch']}, {p['threads']} threads; machine peak {o['peak_gflops']:.0f} GFLOP/s bf16")
PYTHON
