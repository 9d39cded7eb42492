#!/usr/bin/env python3
"""Writes tests/fuzz/corpus/safetensors/public.safetensors with the public library (pip install safetensors, 0.8 or
later): bit patterns by a formula that safetensors_test.cpp repeats.

  make_safetensors_golden.py FILE
"""
import ctypes
import struct
import sys

import safetensors


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    halves = [(i * 1366 + 1) % 2**16 for i in range(48)]
    values = {
        "b.wide": ("float32", [4, 8], "I", [(i * 0x9E3779B9 + 12345) % 2**32 for i in range(32)]),
        "a.half": ("float16", [6, 8], "H", halves),
        "c.brain": ("bfloat16", [48], "H", halves),
    }
    buffers, tensors = [], {}  # the library takes addresses: the buffers must stay
    for name, (dtype, shape, code, bits) in values.items():
        data = struct.pack(f"<{len(bits)}{code}", *bits)
        buffers.append(ctypes.create_string_buffer(data, len(data)))
        tensors[name] = safetensors.TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]),
                                               data_len=len(data))
    safetensors.serialize_file(tensors, sys.argv[1], {"note": "written by the public library, \"quoted\" \u00e9"})


if __name__ == "__main__":
    main()
