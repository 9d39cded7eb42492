#!/usr/bin/env python3
"""A second reader of artifacts, written from docs/artifact.md alone: what it makes of the committed files must be what
`train_gpt export` writes, bit for bit. Holds the page to the truth; one file, as it is one page.

  artifact_peer_test.py PROGRAM ROOT
"""
import ctypes
import json
import lzma
import math
import pathlib
import struct
import subprocess
import sys
import tempfile

ONE = 32768


class Model:
    """An adaptive distribution."""

    def __init__(self, counts):
        self.counts = list(counts)
        self.interval = 2
        self.rebuild()

    def rebuild(self):
        total = sum(self.counts)
        if total > 1 << 19:
            self.counts = [(c + 1) // 2 for c in self.counts]
            total = sum(self.counts)
        scale = ((ONE - len(self.counts)) << 32) // total
        self.freq = [1 + (c * scale >> 32) for c in self.counts]
        self.freq[self.freq.index(max(self.freq))] += ONE - sum(self.freq)
        self.interval = min(2 * self.interval, 1024)
        self.left = self.interval

    def count(self, token):
        self.counts[token] += 16
        self.left -= 1
        if self.left == 0:
            self.rebuild()


def uniform(tokens):
    return Model([8] * tokens)


class Stream:
    def __init__(self, data):
        self.x = list(struct.unpack("<4Q", data[:32]))
        self.words = [w for w, in struct.iter_unpack("<I", data[32:])]
        self.at = 0

    def token(self, model, lane=0):
        slot, start = self.x[lane] & (ONE - 1), 0
        for token, freq in enumerate(model.freq):
            if slot < start + freq:
                break
            start += freq
        self.x[lane] = freq * (self.x[lane] >> 15) + slot - start
        return token

    def raw(self, bits, lane=0):
        value = self.x[lane] & ((1 << bits) - 1)
        self.x[lane] >>= bits
        return value

    def end(self, lane=0):
        if self.x[lane] < 1 << 31:
            self.x[lane] = self.x[lane] << 32 | self.words[self.at]
            self.at += 1

    def flat(self, bits):
        value = self.raw(bits)
        self.end()
        return value

    def counted(self, model):
        token = self.token(model)
        self.end()
        model.count(token)
        return token

    def is_finished(self):
        return self.at == len(self.words) and self.x == [1 << 31] * 4


def log2_fixed(x):
    bits = struct.unpack("<I", struct.pack("<f", float(x)))[0] >> 17
    m = bits & 63
    return bits - 127 * 64 + (m * (64 - m) * 11 >> 11)


def shift_of(k):
    return 0 if k < 68 else 1 + (k - 68) // 8


def gaussian_sums(x, shift):
    weights = magnitudes = 0
    tokens = [0] * 32
    weight, ratio, step = 1 << 31, x, x * x >> 32
    for a in range(512):
        if weight == 0:
            break
        both = weight if a == 0 else 2 * weight
        weights += both
        magnitudes += a * both
        tokens[min(a >> shift, 31)] += both
        weight = weight * ratio >> 32
        ratio = ratio * step >> 32
    return weights, magnitudes, tokens


def make_prior(k):
    middle = 128 + 8 * k + 4
    mean = (64 + (middle & 63)) << (middle >> 6) >> 6
    x = 0
    for bit in range(31, -1, -1):
        weights, magnitudes, _ = gaussian_sums(x | 1 << bit, 0)
        if magnitudes * 256 <= weights * mean:
            x |= 1 << bit
    weights, _, tokens = gaussian_sums(x, shift_of(k))
    return [t * 128 * 16 // weights + 1 for t in tokens]


class Role:
    priors = {}

    def __init__(self):
        self.max_code = self.small_max = 0
        self.halves = {}

    def half(self, key, tokens):
        return self.halves.setdefault(key, uniform(tokens))

    def start(self, max_code):
        if self.max_code == max_code:
            return
        self.max_code = max_code
        self.contexts = {}
        self.flags = [uniform(2), uniform(2)]

    def context(self, k):
        if k not in self.contexts:
            if k not in Role.priors:
                Role.priors[k] = make_prior(k)
            self.contexts[k] = Model(Role.priors[k][:min(32, (2 * self.max_code >> shift_of(k)) + 1)])
        return self.contexts[k]


def read_residual(s, role, k, lane):
    shift, model = shift_of(k), role.context(k)
    token = s.token(model, lane)
    if token == 31:
        bits = s.raw(3, lane)
        magnitude = (31 << shift) + (1 << bits) + s.raw(bits, lane) - 1
    else:
        magnitude = (token << shift) + s.raw(shift, lane)
    negative = s.raw(1, lane) if magnitude else 0
    s.end(lane)
    model.count(token)
    return -magnitude if negative else magnitude


def read_codes(s, role, rows, cols, max_code):
    role.start(max_code)
    mean_log, row_weight, col_weight, any_flag = s.flat(8), s.flat(4), s.flat(4), s.flat(1)
    base_row, last, flag = [], None, 0
    for r in range(rows):
        flag = s.counted(role.flags[flag]) if any_flag else 0
        base_row.append((r - 1 if last is None else last) if flag else None)
        last = r if flag else last
    own = [b is None for b in base_row]
    mean = (16 + (mean_log & 15)) << (mean_log >> 4) >> 4
    row_sum = [(mean if o else (mean >> 5) + 1) << row_weight for o in own]
    code = [[0] * cols for _ in range(rows)]
    for c in range(cols):
        row_log = [log2_fixed(x >> 1) for x in row_sum]
        here = mean << col_weight
        expected = max(sum(x for x, o in zip(row_sum, own) if o) // sum(own), 1) << col_weight
        for begin in range(0, rows, 16):
            base = 64 - 128 + log2_fixed(here) - log2_fixed(expected)
            block = range(begin, min(begin + 16, rows))
            residual = {}
            for r in block:
                k = max(0, min(int((row_log[r] + base) / 8), 103))
                residual[r] = read_residual(s, role, k, r % 4)
                code[r][c] = residual[r] + (0 if own[r] else code[base_row[r]][c])
            for r in block:
                here += 256 * abs(residual[r]) * own[r]
                expected += row_sum[r] * own[r]
                row_sum[r] += 256 * abs(residual[r])
    return code


def read_scales(s, role, n):
    out, before, context, sign = [], 0, 0, 0
    for _ in range(n):
        context = width = s.counted(role.half(("width", context), 17))
        magnitude = 1 << width - 1 if width else 0
        for nibble in range((width + 2) // 4 if width else 0):
            magnitude |= s.counted(role.half(("nibble", width, nibble), 16)) << 4 * nibble
        if width:
            sign = s.counted(role.half(("sign", sign), 2))
        before = (before - magnitude if width and sign else before + magnitude) & 0xffff
        out.append(before)
    return out


def read_values(s, role, n):
    out, context = [], 0
    for _ in range(n):
        value, above = 0, context
        for nibble in range(4):
            above = s.counted(role.half(("value", nibble, above), 16))
            value = value << 4 | above
            context = above if nibble == 0 else context
        out.append(value)
    return out


def fold(v):
    return 2 * v if v >= 0 else -2 * v - 1


def read_small(s, role, n, m):
    span = 2 * m + 1
    shift = max(0, span.bit_length() - 5)
    if role.small_max != m:
        role.small_max = m
        role.small = [(uniform((2 * m >> shift) + 1), [uniform(1 << shift) for _ in range(32)]) for _ in range(2)]
    out, before, cost = [], 0, [0, 0]
    for _ in range(n):
        chosen = int(cost[1] < cost[0])
        high, low = role.small[chosen]
        token = s.token(high)
        s.end()
        folded = token << shift | s.token(low[token])
        s.end()
        value = folded // 2 if folded % 2 == 0 else -(folded + 1) // 2
        if chosen:
            value = (value + before + span + m) % span - m
        for i in range(2):
            seen = fold(value if i == 0 else (value - before + span + m) % span - m)
            high, low = role.small[i]
            upper, rest = seen >> shift, seen & (1 << shift) - 1
            cost[i] += 1920 - log2_fixed(high.freq[upper] * low[upper].freq[rest]) - int(cost[i] / 16)
            high.count(upper)
            low[upper].count(rest)
        before = value
        out.append(value)
    return out


def half(bits):
    return struct.unpack("<e", struct.pack("<H", bits))[0]


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def offset_factor(n):
    return math.ldexp((1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)[n & 3], n >> 2)


class Own(Stream):
    codes, scales, values, small = read_codes, read_scales, read_values, read_small


class Counter:
    """Counts what a packed payload holds, by kind."""

    def __init__(self):
        self.code_count = self.small_count = self.half_count = 0

    def codes(self, role, rows, cols, max_code):
        self.code_count += rows * cols
        return [[0] * cols for _ in range(rows)]

    def small(self, role, n, max_code):
        self.small_count += n
        return [0] * n

    def halves(self, role, n):
        self.half_count += n
        return [0] * n

    scales = values = halves


class Packed:
    def __init__(self, data, coder, count):
        integers, halves = count.code_count + count.small_count, count.half_count
        size = integers + 2 * halves
        raw = unpack_zstd(data, size) if coder == "zstd" else unpack_lzma(data)
        assert len(raw) == size, "the stream does not end where it should"
        signed = memoryview(raw).cast("b").tolist()
        self.code, self.few = iter(signed[:count.code_count]), iter(signed[count.code_count:integers])
        self.half = iter([high << 8 | low for high, low in zip(raw[integers:integers + halves], raw[integers + halves:])])

    def codes(self, role, rows, cols, max_code):
        return [[next(self.code) for _ in range(cols)] for _ in range(rows)]

    def small(self, role, n, max_code):
        return [next(self.few) for _ in range(n)]

    def halves(self, role, n):
        return [next(self.half) for _ in range(n)]

    scales = values = halves

    def is_finished(self):
        return all(next(rest, None) is None for rest in (self.code, self.few, self.half))


def unpack_zstd(data, size):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    written = library.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    return out.raw if written == size else b""


def unpack_lzma(data):
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME}]
    return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=filters)


def read_tensor(s, role, form, rows, cols):
    bits, fine, low_rank = form["bits"], form.get("fine"), form.get("low_rank")
    if bits == 16:
        return [half(h) for h in s.values(role, rows * cols)]
    col_factor = [1.0] * cols
    if form["factored"]:
        step_bits = s.values(role, 1)[0] << 16 | s.values(role, 1)[0]
        step = struct.unpack("<f", struct.pack("<I", step_bits))[0]
        row_step = [step * offset_factor(n) for n in s.small(role, rows, 63)]
        col_factor = [offset_factor(n) for n in s.small(role, cols, 63)]
    else:
        row_step = [half(h) for h in s.scales(role, rows)]
    fine_scale = [half(h) for h in s.scales(role, rows)] if fine else []
    if low_rank:
        rank, group = low_rank
        a, b = s.small(role, rows * rank, 2), s.small(role, rank * cols, 8)
        b_scale = [half(h) for h in s.scales(role, -(-rank * cols // group))]
        a_scale = half(s.values(role, 1)[0])
    limit = 127 if form["factored"] or fine else (1 << bits - 1) - 1
    code = s.codes(role, rows, cols, limit)
    w = [f32(code[r][c] * (row_step[r] * col_factor[c])) for r in range(rows) for c in range(cols)]
    if fine:
        for r in range(rows):
            for c in range(fine[0], fine[0] + fine[1]):
                w[r * cols + c] = f32(code[r][c] * fine_scale[r])
    if low_rank:
        for r in range(rows):
            for c in range(cols):
                added = 0.0
                for k in range(rank):
                    i = k * cols + c
                    added += (a[r * rank + k] * a_scale) * (b[i] * b_scale[i // group])
                w[r * cols + c] = f32(w[r * cols + c] + added)
    return w


def read_keys(data):
    """The stored keys {"model.layers": "5"}, and where they end."""
    assert data[:4] == b"PGAF" and struct.unpack("<HH", data[4:8]) == (3, 1)
    at = 4 + 2 + 2 + 32
    begin = at + 2
    end = begin + struct.unpack("<H", data[at:begin])[0]
    return dict(line.split("=") for line in data[begin:end].decode("ascii").splitlines()), end


def read_artifact(data, shapes):
    """{name: values} of tensors [(name, rows, cols)]."""
    keys, at = read_keys(data)
    assert struct.unpack("<H", data[at:at + 2])[0] == len(shapes)
    at += 2
    forms = []
    for _ in shapes:
        byte, at = data[at], at + 1
        form = {"bits": byte & 31, "factored": bool(byte & 32)}
        if byte & 64:
            form["fine"], at = struct.unpack("<HH", data[at:at + 4]), at + 4
        if byte & 128:
            form["low_rank"], at = (data[at], data[at + 1]), at + 2
        forms.append(form)
    role_of = [("".join(ch for ch in name if not ch.isdigit())) for name, _, _ in shapes]
    names = list(dict.fromkeys(role_of))

    def read_all(s):
        roles, values = [Role() for _ in range(16)], {}
        for number, role_name in enumerate(names):
            for i, (name, rows, cols) in enumerate(shapes):
                if role_of[i] == role_name:
                    values[name] = read_tensor(s, roles[min(number, 15)], forms[i], rows, cols)
        return values

    if "quant.coder" in keys:
        count = Counter()
        read_all(count)
        s = Packed(data[at:-32], keys["quant.coder"].strip('"'), count)
    else:
        s = Own(data[at:-32])
    values = read_all(s)
    assert s.is_finished(), "the stream does not end where it should"
    return values


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    for name in ("rows.bin", "factored.bin", "corrected.bin", "zstd.bin", "lzma.bin"):
        artifact = root / "tests/fuzz/corpus/artifact" / name
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "weights.safetensors"
            subprocess.run([program, "export", artifact, file], check=True, stdout=subprocess.DEVNULL)
            exported = file.read_bytes()
        size = struct.unpack("<Q", exported[:8])[0]
        header = json.loads(exported[8:8 + size])
        fields = {k: v for k, v in header.pop("__metadata__").items() if k.startswith("model.")}
        stored, _ = read_keys(artifact.read_bytes())
        for key, value in stored.items():
            assert not key.startswith("model.") or fields[key] == value, f"{name}: {key} is {value}"
        order = sorted(header, key=lambda key: header[key]["data_offsets"])
        values = read_artifact(artifact.read_bytes(), [(key, *header[key]["shape"]) for key in order])
        for key in order:
            begin, end = header[key]["data_offsets"]
            expected = exported[8 + size + begin:8 + size + end]
            assert struct.pack(f"<{len(values[key])}f", *values[key]) == expected, f"{name}: {key} differs"
        print(f"{name}: {len(order)} tensors, bit for bit")


if __name__ == "__main__":
    main()
