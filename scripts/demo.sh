#!/usr/bin/env bash
# The whole job on any CPU in a few minutes: installs what is missing, builds the program, builds a corpus of English prose
# from Debian packages, trains a tokenizer and a language model of one megabyte, scores it, and lets it write.
#
#   scripts/demo.sh [folder of the record]      default: runs/demo
set -euo pipefail
cd "$(dirname "$0")/.."
record=${1:-runs/demo}
recipe=records/demo/2026-11-22_first_run/recipe.toml
data=data/default
program=build/train_gpt
start=$SECONDS

say() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - start)); }

say "1/6 packages: installing what packages.txt lists and this machine lacks"
scripts/install_packages.sh

say "2/6 program: building $program"
mkdir -p build
scripts/build.sh release train_gpt > build/demo_build.log 2>&1 || { tail -40 build/demo_build.log >&2; exit 1; }

say "3/6 corpus: prose from Debian packages into $data"
if [ -f "$data/manifest.json" ]; then
  echo "$data is there already"
else
  scripts/build_default_corpus.py --out "$data"
fi

say "4/6 tokens: a tokenizer of 1024 pieces, and the corpus as token shards"
if [ ! -f "$data/sp1024.model" ]; then
  "$program" tokenizer train "$data/train.jsonl" --vocab-size 1024 --out "$data/sp1024.model"
fi
for split in train val; do
  if [ ! -f "$data/sp1024/default_${split}_manifest.json" ]; then
    "$program" tokenize "$data/$split.jsonl" --tokenizer "$data/sp1024.model" --out "$data/sp1024" \
      --name default --val-every 0 --split "$split"
  fi
done

say "5/6 run: 90 s of training, then quantise, pack and score"
"$program" run "$recipe" --out "$record" --fresh

say "6/6 sample: what the packed model writes"
"$program" generate "$record/final_model.int6.bin" --tokenizer "$data/sp1024.model" \
  --prompt "The history of" --tokens 120 --context 256 --temperature 0.8 --top-p 0.95

val_bpb=$(sed -n 's/^final_int6_sliding_window_exact .*val_bpb:\([0-9.]*\).*/\1/p' "$record"/train_seed*.log | tail -1)
bytes=$(sed -n 's/.*"bytes_total": \([0-9]*\).*/\1/p' "$record/submission.json")
printf '\nval_bpb %s\nartifact bytes %s of 1000000, code included\nrecord %s/README.md\n' "$val_bpb" "$bytes" "$record"
