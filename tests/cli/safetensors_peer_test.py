#!/usr/bin/env python3
"""What `train_gpt export` writes, read by the public safetensors library: the values must have the hash that
tests/quant/artifact_golden.txt holds for the committed artifact. Says that it did not run where python3 has no
safetensors and numpy.

  safetensors_peer_test.py PROGRAM ROOT
"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
    import safetensors
    import safetensors.numpy
except ImportError as error:
    print(f"safetensors_peer_test did not run: {error}")
    sys.exit(0)


def names_in_file_order(data):
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    header.pop("__metadata__")
    return sorted(header, key=lambda name: header[name]["data_offsets"])


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "weights.safetensors"
        subprocess.run([program, "export", root / "tests/fuzz/corpus/artifact/rows.bin", file], check=True)
        data = file.read_bytes()
        tensors = safetensors.numpy.load_file(file)
        with safetensors.safe_open(file, "numpy") as opened:
            metadata = opened.metadata()
    digest = hashlib.sha256()
    for name in names_in_file_order(data):
        values = tensors[name]
        assert values.dtype == numpy.float32 and values.ndim == 2, name
        digest.update(struct.pack("<I", len(name)) + name.encode() + values.astype("<f4").tobytes())
    golden = (root / "tests/quant/artifact_golden.txt").read_text().split()[0]
    assert digest.hexdigest() == golden, f"values hash to {digest.hexdigest()}, expected {golden}"
    assert metadata["tokenizer_sha256"] == hashlib.sha256(b"golden").hexdigest()
    assert metadata["model.dim"] == "16" and metadata["model.smear_gate"] == "true"
    assert tensors["tok_emb"].shape == (int(metadata["model.vocab_size"]), int(metadata["model.dim"]))
    print(f"safetensors {safetensors.__version__} reads {len(tensors)} exported tensors bit for bit")


if __name__ == "__main__":
    main()
