#!/usr/bin/env python3
"""Loss, gradients and optimizer steps of small models against an independent PyTorch model in double precision.

  parity_torch.py PARITY_DUMP

The model below is written from docs/formulas.md and from the papers, not from the C++ code. Each case switches on techniques
that can stand together; all cases together have every switch of [model]. Without PyTorch nothing is compared, and it says so
(exit code 77).

Errors are relative, in the 2-norm of a tensor. The bound is 1e-5 for fp32 and 2e-2 for bf16, or where that is more, what
rounding must do to a number as ill-conditioned as this one: how far the double precision model itself moves when its first
weights are rounded once, times the root of the roundings on the way. Rounding is drawn at random ten times, and the mean and
five deviations of what it did are taken: of a tensor of many numbers that is hardly more than the mean, but what one number
moves is now nothing and now twice its deviation. Some are ill-conditioned: a scalar's gradient whose terms cancel, and ten steps
of a model whose attention has no norm.
"""
import concurrent.futures
import json
import math
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

try:
    import torch
except ImportError:
    print("not compared: PyTorch is not installed (python3 -m pip install torch)")
    sys.exit(77)

BATCH, TOKENS, STEPS = 2, 16, 10
BOUNDS = {"cpu:exact": (1e-5, 2.0**-24), "cpu:bf16": (2e-2, 2.0**-9)}  # bound, unit roundoff
ROUNDINGS = 300  # tensors that a number passes on its way: 60 ops of a block, forward and backward
DRAWS, DEVIATIONS = 10, 5
BASE = {"vocab_size": 61, "layers": 4, "dim": 32, "heads": 4, "kv_heads": 2, "mlp_hidden": 48, "leaky_slope": 0.5, "rope_dims": 4,
        "rope_base": 10000.0, "rope_ntk_length": 8, "rope_context": 16, "ln_scale": True, "xsa_last_n": 2, "unet_skips": True,
        "resid_mix": True, "smear_gate": True, "bigram_buckets": 37, "bigram_dim": 8, "value_embed_dim": 8,
        "value_embed_layers": 2, "logit_softcap": 30.0, "q_gain": True, "block_scales": True, "qk_norm": True,
        "mlp": "leaky_relu2", "norm_gains": False, "token_smear": False, "token_smear_width": 12, "bos_id": 1,
        "skip_gates": False, "value_residual": "none", "value_embed_at": "", "softcap_form": "symmetric", "softcap_shift": 5.0,
        "softcap_width": 7.5, "loop_first": 1, "loop_last": 2, "loop_passes": 1, "tied_head": True, "trigram": False,
        "bigram_projection": "adam", "value_projection": "adam", "yarn_factor": 1.0,
        "memory_tokens": 0, "attention_gate": "none", "attention_gate_width": 12, "attention_gate_scale": 0.5,
        "parallel_residual": "none", "parallel_from": 7, "mudd_at": "", "mudd_local_at": "", "mudd_value_at": "",
        "paired_heads_at": ""}
CASES = {
    "record stack": {},
    "trigrams, muon projections, mean of values": {"trigram": True, "bigram_projection": "muon", "value_projection": "muon",
                                                   "value_residual": "mean"},
    "swiglu, gains, gates, token smear, loop, untied head": {
        "mlp": "swiglu", "norm_gains": True, "skip_gates": True, "smear_gate": False, "token_smear": True, "loop_passes": 3,
        "tied_head": False, "value_residual": "sigmoid", "value_embed_at": "0,2", "softcap_form": "asymmetric",
        "logit_softcap": 11.5},
    "no norm, gains or scales, yarn, no softcap": {
        "qk_norm": False, "q_gain": False, "block_scales": False, "rope_ntk_length": 0, "rope_context": 64, "yarn_factor": 4.0,
        "softcap_form": "none", "value_residual": "first_input", "value_embed_at": "0,3", "resid_mix": False},
    "scalar of values, no skips, no scale by depth": {"value_residual": "scalar", "unet_skips": False, "ln_scale": False,
                                                      "leaky_slope": 0.0, "xsa_last_n": 4},
    "caps of each side": {"softcap_form": "two_sided", "logit_softcap": 3.0},
    "gated attention": {"attention_gate": "gated"},
    "attention output gate": {"attention_gate": "output", "attention_gate_width": 5, "norm_gains": True},
    "gated attention from noise": {"attention_gate": "gated_normal", "xsa_last_n": 4},
    "sparse attention gate": {"attention_gate": "sparse", "attention_gate_scale": 0.7, "loop_passes": 3},
    "parallel residuals": {"parallel_residual": "gptj", "parallel_from": 2, "norm_gains": True, "loop_passes": 2},
    "lanes behind a loop, with skips, gates and token smear": {
        "parallel_residual": "lanes", "parallel_from": 3, "skip_gates": True, "loop_first": 1, "loop_last": 1, "loop_passes": 3,
        "attention_gate": "sparse", "smear_gate": False, "token_smear": True},
    "lanes": {"parallel_residual": "lanes", "parallel_from": 2, "norm_gains": True},
    "lanes in turn": {"parallel_residual": "lanes_in_turn", "parallel_from": 2, "skip_gates": True},
    "MUDD connections, in a loop": {
        "unet_skips": False, "resid_mix": False, "loop_passes": 2, "mudd_at": "1,2,4,5", "mudd_local_at": "2",
        "mudd_value_at": "1,2,4"},
    "MUDD connections, with skips and mixes": {"mudd_at": "0,2,3", "mudd_value_at": "0", "value_residual": "sigmoid"},
    "paired heads": {"paired_heads_at": "0,2", "value_residual": "mean", "rope_dims": 8},
    "memory tokens": {"memory_tokens": 3, "trigram": True, "value_residual": "mean"},
    "heads of further tokens, z-loss": {"mtp_heads": 2, "mtp_weight": 0.3, "z_loss": 0.001},
    "adapters of every matrix, SwiGLU, untied head": {
        "kind": "lora", "lora_rank": 3, "lora_targets": "q,k,v,out,up,down,head", "mlp": "swiglu", "tied_head": False,
        "norm_gains": True},
    "adapters beside whole branches, of each run of a loop": {
        "kind": "lora", "lora_rank": 3, "lora_targets": "q,v,attn,mlp,head", "lora_per_run": True, "loop_passes": 3,
        "attention_gate": "sparse"},
    "adapters beside whole branches, in lanes": {
        "kind": "lora", "lora_rank": 3, "lora_targets": "k,attn,mlp", "parallel_residual": "lanes", "parallel_from": 2},
}
SECTIONS = {"train": ("mtp_heads", "mtp_weight", "z_loss"), "ttt": ("kind", "lora_rank", "lora_targets", "lora_per_run")}
EPSILON = 1.1920928955078125e-07


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    length, = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + length + begin:8 + length + end]), dtype=torch.float32)
        tensors[name] = values.reshape(entry["shape"]).double()
    return tensors


def rms(x):
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + EPSILON)


def numbers(text):
    return [int(part) for part in text.split(",")] if text else []


def previous(x):
    """x_{t-1} of [B, T, ...]; 0 at the start of a row."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


class Model:
    def __init__(self, config, weights):
        self.c = config
        self.w = weights
        self.run = 0  # of a block

    def adapter(self, x, name):
        """B A x of the adapter with this name, or of this run; 0 without one."""
        for a in (f"{name}.lora_a", f"{name}.run{self.run}.lora_a"):
            if a in self.w:
                return x @ self.w[a].T @ self.w[a[:-1] + "b"].T
        return 0.0

    def linear(self, x, name):
        return x @ self.w[name].T + self.adapter(x, name)

    def rope(self, step):
        c = self.c
        base = c["rope_base"]
        dims = c["rope_dims"]
        if c["rope_ntk_length"] and c["rope_context"] > c["rope_ntk_length"]:
            base *= (c["rope_context"] / c["rope_ntk_length"]) ** (dims / (dims - 2))
        frequencies = base ** (-2 * torch.arange(dims // 2, dtype=torch.float64) / dims)
        s = c["yarn_factor"]
        if s > 1:
            turns = c["rope_context"] / s * frequencies / (2 * math.pi)
            kept = ((turns - 1) / (32 - 1)).clamp(0, 1)
            frequencies = frequencies * (kept + (1 - kept) / s)
        angles = step * torch.arange(c["memory_tokens"] + TOKENS, dtype=torch.float64)[:, None] * frequencies
        return angles.cos(), angles.sin()

    def turn(self, x, step):
        """x [B, T, heads, S], at positions 0, step, ..."""
        half = self.c["rope_dims"] // 2
        cos, sin = (table[:, None, :] for table in self.rope(step))
        a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
        return torch.cat([a * cos + b * sin, b * cos - a * sin, rest], -1)

    def hashes(self, ids, tokens):
        top = self.c["bigram_buckets"] - 1
        value = 36313 * ids
        for place, factor in zip(range(1, tokens), (27191, 51497)):
            shifted = torch.cat([torch.zeros_like(ids[:, :place]), ids[:, :-place]], 1)
            value = value ^ (factor * shifted)
        value = value % top
        value[:, :tokens - 1] = top
        return value

    def embed(self, ids):
        c, w = self.c, self.w
        x = w["tok_emb"][ids]
        if c["bigram_buckets"]:
            rows = w["bigram.table"][self.hashes(ids, 2)]
            if c["trigram"]:
                rows = rows + w["bigram.table"][self.hashes(ids, 3)]
            x = x + w["bigram.scale"] * (rows @ w["bigram.proj"].T)
        if c["token_smear"]:
            gate = torch.sigmoid(x[..., :c["token_smear_width"]] @ w["token_smear.gate"].reshape(-1))
            gate = gate * (ids != c["bos_id"])
            x = x + w["token_smear.scale"] * gate[..., None] * previous(x)
        x = rms(x)
        if c["smear_gate"]:
            gate = torch.sigmoid(w["smear.gate"])
            x = (1 - gate) * x + gate * previous(x)
        return x

    def attention(self, n, ids, layer, values_of=None):
        c, w = self.c, self.w
        name = f"blocks.{layer}."
        size = c["dim"] // c["heads"]
        row = c["memory_tokens"] + TOKENS
        q, k = (self.linear(n, name + "attn." + m) for m in "qk")
        v = self.linear(n if values_of is None else values_of, name + "attn.v")
        if layer == 0 and c["value_residual"] == "first_input":
            self.first_value = v
        named = numbers(c["value_embed_at"]) or None
        if c["value_embed_dim"] and (layer in named if named is not None else layer >= c["layers"] - c["value_embed_layers"]):
            embedded = w["value_embed.table"][ids] @ w["value_embed.proj"].T
            embedded = torch.cat([torch.zeros_like(embedded[:, :c["memory_tokens"]]), embedded], 1)
            v = v + w["value_embed.scale"] * w[name + "value_embed.scale"] * embedded
        if layer == 0:
            if c["value_residual"] in ("mean", "sigmoid", "scalar"):
                self.first_value = v
        elif c["value_residual"] != "none":
            share = w[name + "attn.v_first_scale"]
            own = w[name + "attn.v_scale"] if c["value_residual"] == "mean" else 1.0
            share = torch.sigmoid(share) if c["value_residual"] == "sigmoid" else share
            v = own * v + share * self.first_value
        q, k, v = (x.reshape(BATCH, row, -1, size) for x in (q, k, v))
        if c["qk_norm"]:
            q, k = rms(q), rms(k)
        is_paired = layer in numbers(c["paired_heads_at"])
        q, k = (self.turn(x, 2 if is_paired else 1) for x in (q, k))
        if c["q_gain"]:
            q = q * w[name + "attn.q_gain"].reshape(-1)[:, None]
        group = c["heads"] // c["kv_heads"]
        k, shared = k.repeat_interleave(group, 2), v.repeat_interleave(group, 2)
        keys, read, asking = k, shared, q
        if is_paired:  # heads h and h + H/2 one behind the other, at twice as many positions
            asking, keys, read = (x.reshape(BATCH, 2 * row, -1, size) for x in (q, k, shared))
        places = asking.shape[1]
        scale = (0.1 * math.log(c["yarn_factor"]) + 1) ** 2 / math.sqrt(size)
        scores = torch.einsum("bqhs,bkhs->bhqk", asking, keys) * scale
        scores = scores.masked_fill(torch.ones(places, places).triu(1).bool(), -math.inf)
        y = torch.einsum("bhqk,bkhs->bqhs", scores.softmax(-1), read).reshape(BATCH, row, -1, size)
        if layer >= c["layers"] - c["xsa_last_n"]:
            unit = shared / shared.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            y = y - (y * unit).sum(-1, keepdim=True) * unit
        if c["attention_gate"] != "none":
            y = self.gates(n, name)[..., None] * y
        return y.reshape(BATCH, row, -1)

    def gates(self, n, name):
        """[B, T, heads] of the block's normed input."""
        c = self.c
        few = n[..., :c["attention_gate_width"]]
        weight = self.w[name + "attn.gate"]
        if c["attention_gate"] == "gated":
            return torch.sigmoid(n @ weight.T + self.w[name + "attn.gate_bias"].reshape(-1))
        if c["attention_gate"] == "output":
            return 2 * torch.sigmoid(few @ weight.T)
        if c["attention_gate"] == "gated_normal":
            return torch.sigmoid(n @ weight.T)
        return torch.sigmoid(c["attention_gate_scale"] * (few @ weight.T))

    def block(self, x, x0, ids, layer, values_of=None):
        c, w = self.c, self.w
        name = f"blocks.{layer}."
        depth = 1 / math.sqrt(layer + 1) if c["ln_scale"] else 1.0
        if c["resid_mix"]:
            x = w[name + "resid_mix.x"] * x + w[name + "resid_mix.x0"] * x0
        gain = lambda which: w[name + which + ".gain"] if c["norm_gains"] else 1.0
        scale = lambda which: w[name + which] if c["block_scales"] else 1.0
        if values_of is not None:
            values_of = depth * rms(values_of) * gain("attn_norm")
        n = depth * rms(x) * gain("attn_norm")
        y = self.attention(n, ids, layer, values_of)
        attended = scale("attn_scale") * (self.linear(y, name + "attn.out") + self.adapter(n, name + "attn"))
        before = x
        x = x + attended
        is_parallel = c["parallel_residual"] == "gptj" and layer >= c["parallel_from"]
        n = depth * rms(before if is_parallel else x) * gain("mlp_norm")
        return x + scale("mlp_scale") * self.mlp(n, name)

    def block_in_lanes(self, first, second, x0, ids, layer):
        """The lanes behind the block: attention reads the first, the MLP the second."""
        c, w = self.c, self.w
        name = f"blocks.{layer}."
        depth = 1 / math.sqrt(layer + 1) if c["ln_scale"] else 1.0
        gain = lambda which: w[name + which + ".gain"] if c["norm_gains"] else 1.0
        scale = lambda which: w[name + which] if c["block_scales"] else 1.0
        lanes = {which: [w[name + f"lanes.{which}.{lane}"] for lane in (0, 1)] for which in ("keep", "attn", "mlp")}
        mixed = lambda x: w[name + "resid_mix.x"] * x + w[name + "resid_mix.x0"] * x0 if c["resid_mix"] else x
        n = depth * rms(mixed(first)) * gain("attn_norm")
        y = self.attention(n, ids, layer)
        attended = scale("attn_scale") * (self.linear(y, name + "attn.out") + self.adapter(n, name + "attn"))
        ran = lambda x: scale("mlp_scale") * self.mlp(depth * rms(x) * gain("mlp_norm"), name)
        if c["parallel_residual"] == "lanes":
            hidden = ran(second)
            return tuple(keep * lane + a * attended + m * hidden
                         for lane, keep, a, m in zip((first, second), lanes["keep"], lanes["attn"], lanes["mlp"]))
        first, second = (lanes["keep"][0] * lane + a * attended for lane, a in zip((first, second), lanes["attn"]))
        hidden = ran(mixed(second))
        return tuple(lanes["keep"][1] * lane + m * hidden for lane, m in zip((first, second), lanes["mlp"]))

    def mix(self, outputs, run, way):
        """What run `run` gave and a mix of outputs by the shares of a way."""
        c, w = self.c, self.w
        name = f"mudd.{run}."
        sources = outputs[-2:] if run in numbers(c["mudd_local_at"]) else outputs
        hidden = torch.nn.functional.gelu(rms(outputs[-1]) @ w[name + "hidden"].T, approximate="tanh")
        shares = hidden @ w[name + way].T + w[name + way + "_share"].reshape(-1)
        return outputs[-1] + sum(shares[..., j:j + 1] * source for j, source in enumerate(sources))

    def mlp(self, n, name):
        """[B, T, D], before its scales."""
        c = self.c
        up = self.linear(n, name + "mlp.up")
        if c["mlp"] == "swiglu":
            hidden = torch.nn.functional.silu(self.linear(n, name + "mlp.gate")) * up
        else:
            hidden = torch.where(up > 0, up, c["leaky_slope"] * up).square()
        return self.linear(hidden, name + "mlp.down") + self.adapter(n, name + "mlp")

    def caps(self, z):
        c = self.c
        if c["softcap_form"] == "none":
            return z
        if c["softcap_form"] == "asymmetric":
            return 2 * c["logit_softcap"] * torch.sigmoid((z + c["softcap_shift"]) / c["softcap_width"])
        if c["softcap_form"] == "two_sided":
            up, down = self.w["logit_sides"].flatten()
            return torch.where(z > 0, up * torch.tanh(z / up), down * torch.tanh(z / down))
        return c["logit_softcap"] * torch.tanh(z / c["logit_softcap"])

    def loss(self, ids, targets):
        c, w = self.c, self.w
        x = self.embed(ids)
        if c["memory_tokens"]:
            x = torch.cat([rms(w["memory"]).expand(BATCH, -1, -1), x], 1)
        x0 = x
        order = list(range(c["loop_last"] + 1))
        order += list(range(c["loop_first"], c["loop_last"] + 1)) * (c["loop_passes"] - 1)
        order += range(c["loop_last"] + 1, c["layers"])
        skips = []
        second = values_of = None
        outputs = [x]
        for run, layer in enumerate(order):
            self.run = run
            decoder = run - len(order) // 2
            has_lanes = c["parallel_residual"].startswith("lanes") and layer >= c["parallel_from"]
            if has_lanes and second is None:
                second = x
            if decoder >= 0 and skips:
                skip = w[f"skips.{decoder}"] * skips.pop()
                gate = torch.sigmoid(w[f"skips.{decoder}.gate"]) if c["skip_gates"] else None
                join = lambda lane: gate * lane + (1 - gate) * skip if c["skip_gates"] else lane + skip
                x = join(x)
                if has_lanes and c["parallel_residual"] == "lanes_in_turn":
                    second = join(second)
            if has_lanes:
                x, second = self.block_in_lanes(x, second, x0, ids, layer)
            else:
                x = self.block(x, x0, ids, layer, values_of)
            outputs.append(x)
            values_of = self.mix(outputs, run, "value") if run in numbers(c["mudd_value_at"]) else None
            if run in numbers(c["mudd_at"]):
                x = self.mix(outputs, run, "stream")
            if c["unet_skips"] and decoder < 0:
                skips.append(x)
        if second is not None:
            x = (x + second) / 2
        x = x[:, c["memory_tokens"]:]
        h = rms(x) * (w["final_norm.gain"] if c["norm_gains"] else 1.0)
        logits = self.caps(h @ w["tok_emb" if c["tied_head"] else "lm_head"].T + self.adapter(h, "head"))
        entropy = lambda z, y: torch.nn.functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))
        main = entropy(logits, targets)
        # The asymmetric form's constant is left out of what z-loss squares, as of every softmax.
        shown = main + c.get("z_loss", 0) * torch.logsumexp(logits, -1).square().mean()
        total = shown
        heads = c.get("mtp_heads", 0)
        for k in range(heads):
            ahead = self.caps(h[:, :-1 - k] @ w[f"mtp_heads.{k}"].T)
            total = total + c["mtp_weight"] / heads * entropy(ahead, targets[:, 1 + k:])
        return shown, total


def newton_schulz(x):
    flipped = x.shape[0] > x.shape[1]
    x = x.T if flipped else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if flipped else x


class Optimizer:
    """The defaults of [optimizer]: Muon for matrices, AdamW for the rest, a global clip at 0.3."""

    def __init__(self, weights, is_matrix, is_table):
        self.w, self.is_matrix, self.is_table = weights, is_matrix, is_table
        self.m = {name: torch.zeros_like(t) for name, t in weights.items()}
        self.v = {name: torch.zeros_like(t) for name, t in weights.items()}

    def step(self, gradients, done):
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        clip = min(1.0, 0.3 / (norm + 1e-6))
        momentum = 0.92 + (0.99 - 0.92) * min(1.0, done / 1500)
        for name, gradient in gradients.items():
            g, p, m, v = clip * gradient, self.w[name], self.m[name], self.v[name]
            if self.is_matrix(name):
                m.mul_(momentum).add_(g)
                update = newton_schulz(g + momentum * m) * math.sqrt(max(1.0, p.shape[0] / p.shape[1]))
                p.mul_(1 - 0.025 * 0.04).sub_(0.025 * update)
                continue
            lr = 0.035 if self.is_table(name) else 0.008 if name == "lm_head" else 0.025
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.95).add_(0.05 * g.square())
            p.mul_(1 - lr * (0 if name == "memory" else 0.04))
            p.sub_(lr * (m / (1 - 0.9 ** (done + 1))) / ((v / (1 - 0.95 ** (done + 1))).sqrt() + 1e-8))


def is_matrix(config):
    def of(name):
        part = name.rpartition(".")[2]
        if part.startswith("lora_"):
            return False
        return (".attn." in name and part in ("q", "k", "v", "out")) or (".mlp." in name and ".lanes." not in name) or name.startswith("mtp_heads") or \
            (name == "bigram.proj" and config["bigram_projection"] == "muon") or \
            (name == "value_embed.proj" and config["value_projection"] == "muon")
    return of


def error_of(got, want):
    return float((got - want).norm() / want.norm().clamp_min(1e-30))


def compare(program, device, case, config):
    """What was found, in a line, and the problems."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    section = lambda key: next((name for name, keys in SECTIONS.items() if key in keys), "model")
    words = [f"{section(k)}.{k}={json.dumps(v)}" for k, v in config.items()]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "dump.safetensors")
        subprocess.run([program, device, str(STEPS), file, *words], check=True)
        dump = read_safetensors(file)
    part = lambda prefix: {k[len(prefix):]: v for k, v in dump.items() if k.startswith(prefix)}
    ids, targets = (dump[k].long().reshape(BATCH, TOKENS) for k in ("ids", "targets"))
    got = {"loss": {"all": dump["loss"].reshape(())}, "gradient": part("gradient."), "steps": part("end.")}
    run = lambda start: train(config, start, got["gradient"], ids, targets)
    want = run(part("start."))
    bound, roundoff = BOUNDS[device]
    moved = [run({k: v * (1 + roundoff * (2 * torch.rand_like(v) - 1)) for k, v in part("start.").items()}) for _ in range(DRAWS)]
    worst = {}
    problems = []
    for kind, tensors in want.items():
        for name, tensor in tensors.items():
            error = error_of(got[kind][name].reshape(tensor.shape), tensor)
            moves = [error_of(other[kind][name], tensor) for other in moved]
            limit = max(bound, math.sqrt(ROUNDINGS) * (statistics.mean(moves) + DEVIATIONS * statistics.stdev(moves)))
            worst[kind] = max(worst.get(kind, (0, 0, "")), (error / limit, error, name))
            if not error <= limit:
                problems.append(f"{device}, {case}: {kind} of {name} is off by {error:.2e}, more than {limit:.2e}")
    said = "  ".join(f"{kind} {error:.1e} ({part:.2f} of its bound, {name})" for kind, (part, error, name) in worst.items())
    return f"{device:<9} {case}: {said}", problems


def train(config, start, names, ids, targets):
    """Loss and gradients, of the names, of the first weights, and the weights after the steps."""
    weights = {k: v.clone().requires_grad_(k in names) for k, v in start.items()}
    optimizer = Optimizer(weights, is_matrix(config), lambda name: name in ("tok_emb", "bigram.table", "value_embed.table"))
    first = None
    for step in range(STEPS):
        shown, total = Model(config, weights).loss(ids, targets)
        gradients = dict(zip(names, torch.autograd.grad(total, [weights[n] for n in names])))
        if first is None:
            first = {"loss": {"all": shown.detach()}, "gradient": {k: g.clone() for k, g in gradients.items()}}
        if config.get("kind") == "lora":  # what trains adapters at test time is another rule
            return first
        with torch.no_grad():
            optimizer.step(gradients, step)
    return first | {"steps": {k: w.detach() for k, w in weights.items()}}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in [pool.submit(compare, sys.argv[1], device, case, BASE | changes) for device in BOUNDS for case, changes in CASES.items()]:
            said, wrong = found.result()
            print(said, flush=True)
            problems += wrong
    if problems:
        sys.exit("\n".join(problems))


main()
