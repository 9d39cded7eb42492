#!/usr/bin/env bash
# The whole job on any CPU in at most eight minutes: installs what is missing, builds the program, builds a corpus of English
# prose from Debian packages, trains a tokenizer and a language model of one megabyte, scores it, and lets it write. A
# rehearsal measures the machine; from it plan_demo.py chooses how long to train and how much to score.
#
#   scripts/demo.sh [folder of the record]      default: runs/demo
set -euo pipefail
cd "$(dirname "$0")/.."
record=${1:-runs/demo}
recipe=records/demo/2026-11-22_first_run/recipe.toml
data=data/default
shards=$data/sp1024
program=build-demo/train_gpt
total_s=480
margin_s=40  # a plan is an estimate, and neighbours come and go
probe_documents=4  # of the validation text, for the rehearsal
start=$SECONDS

say() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - start)); }

# tokenize_documents <name> <split> <file>: shards of a text, unless they are there.
tokenize_documents() {
  if [ ! -f "$shards/$1_$2_manifest.json" ] || grep -q '"complete": false' "$shards/$1_$2_manifest.json"; then
    "$program" tokenize "$3" --tokenizer "$data/sp1024.model" --out "$shards" --name "$1" --val-every 0 --split "$2"
  fi
}

# tokenize_first <documents>: the first documents of the validation text as a split of its own, which names their number.
tokenize_first() {
  head -n "$1" "$data/val.jsonl" > "$data/val_first$1.jsonl"
  tokenize_documents "first$1" val "$data/val_first$1.jsonl"
}

cat << 'TEXT'
What happens now, on two cores and a usual network; what is there from the last time is not made again:
  1/7 packages   up to 60 s     install with apt-get what packages.txt lists and this machine lacks
  2/7 program    60 to 120 s    compile train_gpt into build-demo/
  3/7 corpus     20 to 60 s     fetch six Debian packages, 27 MB, and keep their prose, 21 MB
  4/7 tokens     10 to 20 s     train a tokenizer, cut the corpus into tokens
  5/7 rehearsal  5 to 30 s      the run in small: how fast is this machine?
  6/7 run        2 to 4 min     train, quantise, pack, score; planned from the rehearsal
  7/7 sample     a few seconds  the packed model writes
TEXT

say "1/7 packages"
scripts/install_packages.sh

say "2/7 program"
mkdir -p build-demo
NINJA_STATUS='[%f/%t, %e s] ' scripts/build.sh demo 2>&1 | tee build-demo/build.log | grep -E --line-buffered '^\[|error|warning' ||
  { tail -40 build-demo/build.log >&2; exit 1; }

say "3/7 corpus: prose from Debian packages into $data"
if [ -f "$data/manifest.json" ]; then
  echo "$data is there already"
else
  scripts/build_default_corpus.py --out "$data" > /dev/null
fi

say "4/7 tokens: a tokenizer of 1024 pieces, and the corpus as token shards"
if [ ! -f "$data/sp1024.model" ]; then
  "$program" tokenizer train "$data/train.jsonl" --vocab-size 1024 --out "$data/sp1024.model"
fi
tokenize_documents default train "$data/train.jsonl"
tokenize_documents default val "$data/val.jsonl"

say "5/7 rehearsal: eight steps and $probe_documents documents"
tokenize_first "$probe_documents"
rehearsal=$(mktemp -d)
trap 'rm -rf "$rehearsal"' EXIT
rehearsal_start=$(date +%s.%N)
"$program" run "$recipe" --out "$rehearsal" --fresh --set train.max_steps=8 --set train.batch_tokens=1024 \
  --set train.micro_batch_tokens=1024 --set "data.val_shards=$shards/first${probe_documents}_val_*.bin" \
  > build-demo/rehearsal.log 2>&1 || { tail -20 build-demo/rehearsal.log >&2; exit 1; }
rehearsal_s=$(echo "$rehearsal_start $(date +%s.%N)" | awk '{print $2 - $1}')
left_s=$((total_s - margin_s - (SECONDS - start)))
# A first time on a slow network leaves little; then the demo takes longer rather than show nothing.
if [ "$left_s" -gt 240 ]; then left_s=240; elif [ "$left_s" -lt 90 ]; then left_s=90; fi
plan=$(scripts/plan_demo.py "$rehearsal" "$rehearsal_s" "$left_s" "$shards/first${probe_documents}_val_manifest.json" \
  "$shards/default_val_manifest.json")
mapfile -t settings <<< "$plan"
documents=${settings[0]}
if [ "$documents" -gt 0 ]; then
  tokenize_first "$documents"
  settings+=(--set "data.val_shards=$shards/first${documents}_val_*.bin")
fi

say "6/7 run: train, quantise, pack, score"
"$program" run "$recipe" --out "$record" --fresh "${settings[@]:1}"

# Of eight such samples of a model trained on 220,000 tokens 99 % of 621 words occur in the training text; at the
# temperature 0.8 and top-p 0.95 it was 80 %.
say "7/7 sample: what the packed model writes"
"$program" generate "$record/final_model.int6.bin" --tokenizer "$data/sp1024.model" \
  --prompt "She was" --tokens 120 --context 256 --temperature 0.4 --top-p 0.8 | tee "$record/sample.txt"
scripts/known_words.py "$data/train.jsonl" "$record/sample.txt"

val_bpb=$(sed -n 's/^  "val_bpb": \([0-9.]*\).*/\1/p' "$record/submission.json")
bytes=$(sed -n 's/.*"bytes_total": \([0-9]*\).*/\1/p' "$record/submission.json")
scored=$([ "$documents" -gt 0 ] && echo "the first $documents validation documents, not to be compared with a score on all" || echo "all validation documents")
printf '\nval_bpb %.8f on %s\nartifact bytes %s of 1000000, code included\nrecord %s/README.md\n%d s in all\n' \
  "$val_bpb" "$scored" "$bytes" "$record" $((SECONDS - start))
