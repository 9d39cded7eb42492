#!/usr/bin/env python3
"""Fetches the challenge's FineWeb token shards and tokenizer from the Hugging Face dataset hub.

Writes OUT/fineweb_val_*.bin, OUT/fineweb_train_*.bin and OUT/fineweb_<vocabulary>_bpe.model. A file
that is there and whole is kept, a part of one is continued, so the command can be repeated after a
broken connection. Every shard is checked against its own header. One training shard of 100 million
tokens takes 200 MB, the sp1024 validation text 124 MB.

This script follows the published layout of the dataset, but has only been tested against a local
server, not against the hub itself. If a path has changed, --repo, --root and --variant name another
one; contributors' exports with other tokenizers have the same layout.
"""
import argparse
import json
import os
import struct
import sys
import urllib.error
import urllib.request

HUB = "https://huggingface.co/datasets"
SHARD_MAGIC, SHARD_VERSION, HEADER_BYTES = 20240520, 1, 1024
BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60


def open_url(url, first_byte=0):
    headers = {"Range": f"bytes={first_byte}-"} if first_byte else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing beyond first_byte
            return None
        sys.exit(f'cannot fetch: "{url}" (HTTP {error.code}); check --repo, --root and --variant')
    except OSError as error:
        sys.exit(f'cannot fetch: "{url}" ({error}); check the network')


def find_shard_problem(path):
    """None for a whole shard, else what is wrong."""
    with open(path, "rb") as file:
        header = file.read(12)
    if len(header) < 12:
        return "it is shorter than its header"
    magic, version, tokens = struct.unpack("<3i", header)
    if (magic, version) != (SHARD_MAGIC, SHARD_VERSION):
        return f"it begins with {magic}, {version}: no token shard"
    expected = HEADER_BYTES + 2 * tokens
    actual = os.path.getsize(path)
    if actual != expected:
        return f"it has {actual} bytes, its {tokens} tokens need {expected}"
    return None


def download(url, part):
    """Appends what is missing to `part`, from the start where the server cannot continue."""
    done = os.path.getsize(part) if os.path.exists(part) else 0
    response = open_url(url, done)
    if response is None:
        return
    with response, open(part, "ab" if response.status == 206 else "wb") as file:
        expected = file.tell() + int(response.headers.get("Content-Length", 0))
        try:
            while block := response.read(BLOCK_BYTES):
                file.write(block)
        except OSError as error:
            sys.exit(f'connection broke: "{url}" ({error}); run the same command again to go on')
    if response.headers.get("Content-Length") and os.path.getsize(part) != expected:
        sys.exit(f'connection broke: "{url}"; run the same command again to go on')


def fetch_file(url, path):
    if os.path.exists(path):
        print(f"have    {path}")
        return
    print(f"fetch   {path}", flush=True)
    part = path + ".part"
    download(url, part)
    problem = find_shard_problem(part) if path.endswith(".bin") else None
    if problem:
        os.remove(part)
        sys.exit(f'bad shard: "{url}": {problem}; run the same command again')
    os.replace(part, path)


def count_shards(base, variant):
    """How many shards of train and val the manifest lists; those of the first release if none."""
    with open_url(f"{base}/manifest.json") as response:
        manifest = json.load(response)
    for dataset in manifest.get("datasets", []):
        stats = dataset.get("stats") or {}
        if dataset.get("name") == f"fineweb10B_{variant}" and "files_train" in stats:
            return int(stats["files_train"]), int(stats["files_val"])
    return 80, 1


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for shards and tokenizer")
    parser.add_argument("--train-shards", type=int, default=1, help="how many training shards (1)")
    parser.add_argument("--variant", default="sp1024", help="tokenizer, such as sp1024")
    parser.add_argument("--repo", default="willdepueoai/parameter-golf", help="dataset repository")
    parser.add_argument("--root", default="datasets", help="folder of the export in it")
    return parser.parse_args()


def main():
    args = parse_arguments()
    os.makedirs(args.out, exist_ok=True)
    base = f"{HUB}/{args.repo}/resolve/main/{args.root}"
    train_shards, val_shards = count_shards(base, args.variant)
    if not 0 <= args.train_shards <= train_shards:
        sys.exit(f'bad number of shards: "{args.train_shards}", {args.variant} has {train_shards}; '
                 'give 0 to that')
    tokenizer = f"fineweb_{args.variant.removeprefix('sp')}_bpe.model"
    fetch_file(f"{base}/tokenizers/{tokenizer}", os.path.join(args.out, tokenizer))
    for split, count in (("val", val_shards), ("train", args.train_shards)):
        for number in range(count):
            name = f"fineweb_{split}_{number:06d}.bin"
            url = f"{base}/datasets/fineweb10B_{args.variant}/{name}"
            fetch_file(url, os.path.join(args.out, name))


if __name__ == "__main__":
    main()
