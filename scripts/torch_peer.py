#!/usr/bin/env python3
"""PyTorch's side of scripts/bench_peers.sh: training steps of the model shapes of `train_gpt bench train`.

The same architecture, forward, backward, global clip, Muon and AdamW, as the public records do it, on random tokens, in one
configuration of precision, compilation and attention. Prints one JSON object when the first step is done. For each line on
stdin, a number of steps, it then takes these and prints another: step_s, and the machine's peak as PyTorch's own product
reaches it now, peak_gflops.
"""
import argparse
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = {
    "small": dict(layers=4, dim=256, heads=4, kv_heads=2, hidden=768, vocab=1024, bigram=0, ve_layers=0,
                  xsa=4, seq_len=256, batch_tokens=16384, micro_tokens=4096),
    "record": dict(layers=11, dim=512, heads=8, kv_heads=4, hidden=1536, vocab=1024, bigram=1536, ve_layers=2,
                   xsa=4, seq_len=2048, batch_tokens=8192, micro_tokens=4096),
}
SHAPES["record_gpu"] = SHAPES["record"] | dict(batch_tokens=98304, micro_tokens=98304)
ROPE_DIMS = 16


def rms(x):
    return F.rms_norm(x, (x.size(-1),))


class Block(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        d, kv = c["dim"], c["dim"] // c["heads"] * c["kv_heads"]
        self.c, self.scale = c, 1.0 / math.sqrt(index + 1)
        self.xsa = index >= c["layers"] - c["xsa"]
        self.q, self.k, self.v = (nn.Linear(d, n, bias=False) for n in (d, kv, kv))
        self.out = nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, c["hidden"], bias=False), nn.Linear(c["hidden"], d, bias=False)
        self.gain = nn.Parameter(torch.full((c["heads"], 1), 1.5))
        self.attn_scale, self.mlp_scale = (nn.Parameter(torch.ones(d)) for _ in range(2))
        self.mix = nn.Parameter(torch.stack([torch.ones(d), torch.zeros(d)]))
        self.ve_scale = nn.Parameter(torch.ones(1))
        with torch.no_grad():
            self.out.weight.zero_()
            self.down.weight.zero_()

    def rope(self, x, cos, sin):
        h = ROPE_DIMS // 2
        a, b, rest = x[..., :h], x[..., h:ROPE_DIMS], x[..., ROPE_DIMS:]
        return torch.cat([a * cos + b * sin, b * cos - a * sin, rest], dim=-1)

    def attention(self, n, cos, sin, ve):
        c = self.c
        b, t, _ = n.shape
        size = c["dim"] // c["heads"]
        q = self.q(n).view(b, t, c["heads"], size)
        k = self.k(n).view(b, t, c["kv_heads"], size)
        v = self.v(n)
        if ve is not None:
            v = v + self.ve_scale.to(v.dtype) * ve
        v = v.view(b, t, c["kv_heads"], size)
        q = self.rope(rms(q), cos, sin) * self.gain.to(q.dtype)
        k = self.rope(rms(k), cos, sin)
        group = c["heads"] // c["kv_heads"]
        # Flash attention on the CPU wants as many keys as queries; grouped ones take the slow path, and less memory.
        keys, values = (x.repeat_interleave(group, dim=2) if c["repeats_keys"] else x for x in (k, v))
        y = F.scaled_dot_product_attention(q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2),
                                           is_causal=True, enable_gqa=not c["repeats_keys"]).transpose(1, 2)
        if self.xsa:
            u = F.normalize(v, dim=-1).repeat_interleave(group, dim=2)
            y = y - (y * u).sum(-1, keepdim=True) * u
        return self.out(y.reshape(b, t, c["dim"]))

    def forward(self, x, x0, cos, sin, ve):
        x = self.mix[0].to(x.dtype) * x + self.mix[1].to(x.dtype) * x0
        x = x + self.attn_scale.to(x.dtype) * self.attention(rms(x) * self.scale, cos, sin, ve)
        hidden = F.leaky_relu(self.up(rms(x) * self.scale), 0.5).square()
        return x + self.mlp_scale.to(x.dtype) * self.down(hidden)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c["vocab"], c["dim"])
        nn.init.normal_(self.embed.weight, std=0.005)
        self.blocks = nn.ModuleList(Block(c, i) for i in range(c["layers"]))
        self.skips = nn.Parameter(torch.ones(c["layers"] // 2, c["dim"]))
        self.smear = nn.Parameter(torch.zeros(c["dim"]))
        kv = c["dim"] // c["heads"] * c["kv_heads"]
        if c["bigram"]:
            self.bigram = nn.Embedding(c["bigram"], 128)
            self.bigram_proj = nn.Linear(128, c["dim"], bias=False)
            self.bigram_scale = nn.Parameter(torch.tensor(0.05))
        if c["ve_layers"]:
            self.ve = nn.Embedding(c["vocab"], 128)
            self.ve_proj = nn.Linear(128, kv, bias=False)
            self.ve_scale = nn.Parameter(torch.tensor(0.1))
        t = torch.arange(c["seq_len"], dtype=torch.float32)
        angle = torch.outer(t, 10000.0 ** (-torch.arange(0, ROPE_DIMS, 2) / ROPE_DIMS))
        self.register_buffer("cos", angle.cos()[None, :, None, :].to(c["dtype"]))
        self.register_buffer("sin", angle.sin()[None, :, None, :].to(c["dtype"]))

    def forward(self, ids, targets):
        c = self.c
        x = self.embed(ids).to(c["dtype"])
        if c["bigram"]:
            m = c["bigram"] - 1
            previous = F.pad(ids, (1, 0))[:, :-1]
            hashed = torch.bitwise_xor(36313 * ids, 27191 * previous) % m
            hashed[:, 0] = m
            x = x + self.bigram_scale.to(x.dtype) * self.bigram_proj(self.bigram(hashed))
        x = rms(x)
        gate = torch.sigmoid(self.smear).to(x.dtype)
        x = (1 - gate) * x + gate * F.pad(x, (0, 0, 1, 0))[:, :-1]
        ve = self.ve_scale.to(x.dtype) * self.ve_proj(self.ve(ids)) if c["ve_layers"] else None
        x0, stack, half = x, [], c["layers"] // 2
        for i, block in enumerate(self.blocks):
            if i >= half and stack:
                x = x + self.skips[i - half].to(x.dtype) * stack.pop()
            x = block(x, x0, self.cos, self.sin, ve if i >= c["layers"] - c["ve_layers"] else None)
            if i < half:
                stack.append(x)
        logits = F.linear(rms(x), self.embed.weight).float()
        return F.cross_entropy((30 * torch.tanh(logits / 30)).flatten(0, 1), targets.flatten())


def newton_schulz(g, dtype):
    """Of a matrix, or of a stack of them."""
    x = g.to(dtype)
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon:
    """Matrices of one shape are one stack, as the fastest public scripts have them on GPUs."""

    def __init__(self, params, dtype, compiled):
        shapes = {}
        for p in params:
            shapes.setdefault(p.shape, []).append(p)
        self.stacks, self.dtype = list(shapes.values()), dtype
        self.momentum = [torch.zeros(len(stack), *stack[0].shape, device=stack[0].device) for stack in self.stacks]
        self.orthogonal = torch.compile(newton_schulz, dynamic=False) if compiled else newton_schulz

    @torch.no_grad()
    def step(self):
        for stack, m in zip(self.stacks, self.momentum):
            g = torch.stack([p.grad for p in stack])
            m.mul_(0.99).add_(g)
            u = self.orthogonal(g + 0.99 * m, self.dtype).float()
            torch._foreach_mul_(stack, 1 - 0.025 * 0.04)
            torch._foreach_add_(stack, list(u), alpha=-0.025 * math.sqrt(max(1.0, stack[0].size(0) / stack[0].size(1))))


def measure_peak(dtype, device):
    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best_s = math.inf
    for _ in range(4):
        wait_for(device)
        start = time.perf_counter()
        torch.mm(a, b)
        wait_for(device)
        best_s = min(best_s, time.perf_counter() - start)
    return 2 * size**3 / best_s / 1e9


def wait_for(device):
    if device != "cpu":
        torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--precision", choices=["fp32", "bf16"], required=True, help="bf16: by autocast")
    parser.add_argument("--mode", choices=["eager", "compiled"], required=True)
    parser.add_argument("--keys", choices=["grouped", "repeated"], required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    c = SHAPES[args.shape] | {"dtype": dtype, "repeats_keys": args.keys == "repeated"}
    torch.manual_seed(1)
    model = Model(c).to(args.device)
    matrices = [p for b in model.blocks for p in (b.q.weight, b.k.weight, b.v.weight, b.out.weight, b.up.weight,
                                                  b.down.weight)]
    chosen = {id(p) for p in matrices}
    muon = Muon(matrices, dtype, args.mode == "compiled")
    adamw = torch.optim.AdamW([p for p in model.parameters() if id(p) not in chosen], lr=0.03, betas=(0.9, 0.95),
                              fused=args.device == "cuda")
    forward = torch.compile(model, dynamic=False) if args.mode == "compiled" else model
    rows = c["micro_tokens"] // c["seq_len"]
    micro_batches = c["batch_tokens"] // c["micro_tokens"]
    ids = torch.randint(0, c["vocab"], (rows, c["seq_len"]), device=args.device)

    def step():
        for _ in range(micro_batches):
            with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
                loss = forward(ids, ids) / micro_batches
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        muon.step()
        adamw.step()
        model.zero_grad()

    start = time.perf_counter()
    step()
    wait_for(args.device)
    print(json.dumps({"params": sum(p.numel() for p in model.parameters()), "torch": torch.__version__,
                      "threads": torch.get_num_threads(), "batch_tokens": c["batch_tokens"],
                      "first_step_s": time.perf_counter() - start}), flush=True)
    for line in sys.stdin:
        step_s = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            wait_for(args.device)
            step_s.append(time.perf_counter() - start)
        print(json.dumps({"step_s": step_s, "peak_gflops": measure_peak(dtype, args.device)}), flush=True)


main()
