#!/usr/bin/env bash
# What the committed records promise: verifies each that has its artifact and decodes the beginning of its coded text, then replays the record of a minute, which
# must give the same artifact and score on any processor.
#
#   scripts/check_records.sh PROGRAM [BYTES]      BYTES of each coded text: 16384
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
bytes=${2:-16384}
minute=records/demo/2026-11-27_minute
data=data/austen

mapfile -t records < <(git ls-files 'records/**/final_model.int6.bin' | xargs -n 1 dirname |
  sed 's,/seed_[0-9]*$,,' | sort -u)
printf '== verify %d records, with %d bytes of each coded text\n' "${#records[@]}" "$bytes"
"$program" verify --decode-first "$bytes" "${records[@]}"

printf '== replay %s\n' "$minute"
if [ ! -f "$data/manifest.json" ]; then
  scripts/build_default_corpus.py --packages r-cran-janeaustenr --out "$data" > /dev/null
fi
if [ ! -f "$data/austen_val_manifest.json" ]; then
  head -n 6 "$data/val.jsonl" > "$data/first.jsonl"
  "$program" tokenizer train "$data/train.jsonl" --vocab-size 512 --out "$data/sp512.model"
  "$program" tokenize "$data/train.jsonl" --tokenizer "$data/sp512.model" --out "$data" --name austen --val-every 0 --split train
  "$program" tokenize "$data/first.jsonl" --tokenizer "$data/sp512.model" --out "$data" --name austen --val-every 0 --split val
fi
"$program" replay "$minute/record"
