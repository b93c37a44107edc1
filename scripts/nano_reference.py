#!/usr/bin/env python3
"""An independent reference of the bundled model in NumPy: how far from golden.json does arithmetic alone land?

Usage: nano_reference.py [--float32] [--f16-cache] [--greedy]

Computes every prompt of models/trilane-nano/golden.json with the graph of models/trilane-nano/README.md,
in float64 (or float32), keys and values optionally rounded to F16, and prints the difference of the prompt
log-probabilities; with --greedy also the teacher-forced steps whose likeliest token differs, with their
recorded margins (up to the first margin below 0.05). A developer's tool: the product needs no Python.
"""
import argparse
import json
import pathlib
import struct

import numpy as np

MODEL = pathlib.Path(__file__).resolve().parent.parent / "models" / "trilane-nano"
LAYERS, DIM, HEADS, KV_HEADS, HEAD_DIM = 12, 768, 12, 4, 64
GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def read_tensors(path):
    data = path.read_bytes()
    tensors, entries = struct.unpack_from("<QQ", data, 8)

    def skip_string(at):
        return at + 8 + struct.unpack_from("<Q", data, at)[0]

    def skip_value(kind, at):
        if kind == 8:
            return skip_string(at)
        if kind == 9:
            inner, count = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(count):
                at = skip_value(inner, at)
            return at
        return at + GGUF_SIZES[kind]

    at = 24
    for _ in range(entries):
        at = skip_string(at)
        at = skip_value(struct.unpack_from("<I", data, at)[0], at + 4)
    directory = {}
    for _ in range(tensors):
        end = skip_string(at)
        name = data[at + 8:end].decode()
        dims = struct.unpack_from("<I", data, end)[0]
        shape = struct.unpack_from(f"<{dims}Q", data, end + 4)
        kind, offset = struct.unpack_from("<IQ", data, end + 4 + 8 * dims)
        directory[name] = (shape, kind, offset)
        at = end + 16 + 8 * dims
    base = (at + 31) // 32 * 32
    return {name: decode(data, shape, kind, base + offset) for name, (shape, kind, offset) in directory.items()}


def decode(data, shape, kind, at):
    count = int(np.prod(shape))
    if kind == 0:
        values = np.frombuffer(data, np.float32, count, at)
    elif kind == 1:
        values = np.frombuffer(data, np.float16, count, at)
    else:  # TQ2_0
        blocks = np.frombuffer(data, np.uint8, count // 256 * 66, at).reshape(-1, 66)
        scales = blocks[:, 64:].copy().view(np.float16).astype(np.float64)
        codes = blocks[:, :64].reshape(-1, 2, 32)
        planes = np.stack([(codes >> (2 * i)) & 3 for i in range(4)], 2).reshape(-1, 256)
        values = (planes.astype(np.float64) - 1) * scales
    return values.reshape(shape[::-1])


class Reference:
    def __init__(self, dtype, f16_cache):
        self.t, self.f16_cache = dtype, f16_cache
        self.w = {k: v.astype(dtype) for k, v in read_tensors(MODEL / "trilane-nano-tq2_0.gguf").items()}

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.t(1e-5)) * self.w[name + ".weight"]

    def linear(self, x, name):
        scale = self.t(127) / np.maximum(np.abs(x).max(-1, keepdims=True), self.t(1e-5))
        return (np.clip(np.rint(x * scale), -128, 127) / scale) @ self.w[name + ".weight"].T

    def rotate(self, x):
        half = HEAD_DIM // 2
        frequency = np.float32(10000.0) ** (-np.arange(0, HEAD_DIM, 2, dtype=np.float32) / np.float32(HEAD_DIM))
        angle = np.arange(x.shape[1], dtype=np.float32)[:, None] * frequency
        cos, sin = np.cos(angle).astype(self.t), np.sin(angle).astype(self.t)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x, b):
        n = len(x)
        heads = lambda name, count: self.linear(x, b + name).reshape(n, count, HEAD_DIM).swapaxes(0, 1)
        q, k, v = self.rotate(heads("attn_q", HEADS)), self.rotate(heads("attn_k", KV_HEADS)), heads("attn_v", KV_HEADS)
        if self.f16_cache:
            k, v = k.astype(np.float16).astype(self.t), v.astype(np.float16).astype(self.t)
        k, v = (np.repeat(z, HEADS // KV_HEADS, 0) for z in (k, v))
        scores = np.where(np.tril(np.ones((n, n))) > 0, q @ k.swapaxes(1, 2) / self.t(HEAD_DIM ** 0.5), -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        return (p / p.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(n, DIM)

    def logits(self, ids):
        x = self.w["token_embd.weight"][ids]
        for layer in range(LAYERS):
            b = f"blk.{layer}."
            attended = self.attention(self.norm(x, b + "attn_norm"), b)
            x = x + self.linear(self.norm(attended, b + "attn_sub_norm"), b + "attn_output")
            h = self.norm(x, b + "ffn_norm")
            gated = np.maximum(self.linear(h, b + "ffn_gate"), 0) ** 2 * self.linear(h, b + "ffn_up")
            x = x + self.linear(self.norm(gated, b + "ffn_sub_norm"), b + "ffn_down")
        return self.norm(x, "output_norm") @ self.w["token_embd.weight"].T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--float32", "--f16-cache", "--greedy"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args()
    reference = Reference(np.float32 if args.float32 else np.float64, args.f16_cache)
    errors = []
    for entry in json.loads((MODEL / "golden.json").read_text()):
        margins = entry["greedy_margin"]
        steps = next((i for i, m in enumerate(margins) if m < 0.05), len(margins)) if args.greedy else 0
        ids = entry["ids"]
        logits = reference.logits(ids + entry["greedy_ids"][:steps])
        shifted = logits - logits.max(-1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        errors += [abs(logprobs[i, t] - p) for i, (t, p) in enumerate(zip(ids[1:], entry["prompt_logprobs"]))]
        differ = [margins[i] for i in range(steps) if logits[len(ids) - 1 + i].argmax() != entry["greedy_ids"][i]]
        if args.greedy:
            print(f"{entry['prompt'][:40]!r}: {steps} steps, margins where the likeliest differs: {differ}")
    print(f"log-probabilities of {len(errors)} prompt tokens: worst {max(errors):.4f}, mean {np.mean(errors):.4f}")


if __name__ == "__main__":
    main()
