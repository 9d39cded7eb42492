#!/usr/bin/env bash
# Times our training step against PyTorch's best on the same two model shapes; scripts/bench_peers.py says how. Installs
# PyTorch into a scratch environment under the build folder, once.
#
#   scripts/bench_peers.sh [--quick] [--turns 5] [--shapes small record]
set -euo pipefail
cd "$(dirname "$0")/.."
program=${TRAIN_GPT:-build/train_gpt}
environment=${PEERS_ENV:-build/peers_env}
[ -x "$program" ] || { echo "bench_peers: no program at \"$program\"; build it first with scripts/test.sh" >&2; exit 1; }
if ! "$environment/bin/python" -c "import torch" 2> /dev/null; then
  echo "bench_peers: installing PyTorch into $environment" >&2
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q torch==2.8.0 numpy setuptools
fi
exec python3 scripts/bench_peers.py "$program" "$environment/bin/python" "$@"
