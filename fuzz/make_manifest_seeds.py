#!/usr/bin/env python3
"""Writes the seeds of manifest_fuzz into fuzz/corpus/manifest: the smallest GGUF files that take each path of the reader."""
import pathlib
import struct

U8, U16, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 2, 4, 5, 6, 7, 8, 9, 10
NUMBER = {U8: "<B", U16: "<H", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q"}
WIDTH = 8


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_of(kind, value):
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        element, values = value
        return struct.pack("<IQ", element, len(values)) + b"".join(value_of(element, v) for v in values)
    return struct.pack(NUMBER[kind], value)


def gguf(entries, tensors, version=3, alignment=32):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    for key, (kind, value) in entries.items():
        out += text(key) + struct.pack("<I", kind) + value_of(kind, value)
    offset, data = 0, b""
    for name, shape in tensors:
        size = 4
        for extent in shape:
            size *= extent
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", e) for e in shape)
        out += struct.pack("<IQ", 0, offset)
        padded = -(-size // alignment) * alignment
        offset += padded
        data += bytes(padded)
    return out + bytes(-len(out) % alignment) + data


def model(architecture, layers=2, **changes):
    entries = {"general.architecture": (STRING, architecture)}
    for key, value in {
        "block_count": layers, "context_length": 64, "embedding_length": WIDTH, "feed_forward_length": 8,
        "attention.head_count": 2, "attention.head_count_kv": 1, "vocab_size": 3,
    }.items():
        entries[f"{architecture}.{key}"] = (U32, value)
    for key, value in changes.items():
        entries[key.replace("__", ".")] = value
    return entries


def tensors(layers=2, output=False, more=()):
    names = [("token_embd.weight", (WIDTH, 3)), ("output_norm.weight", (WIDTH,))]
    if output:
        names.append(("output.weight", (WIDTH, 3)))
    names += [(f"blk.{i}.attn_norm.weight", (WIDTH,)) for i in range(layers)]
    return names + list(more)


SEEDS = {
    "llama": gguf(model("llama"), tensors(output=True, more=[("rope_freqs.weight", (2,))])),
    "llama_v2_aligned": gguf(model("llama", general__alignment=(U32, 64)), tensors(), version=2, alignment=64),
    "qwen3_tokens": gguf(
        model("qwen3", general__name=(STRING, "seed"), tokenizer__ggml__model=(STRING, "gpt2"),
              tokenizer__ggml__tokens=(ARRAY, (STRING, ["a", "b", "c"])),
              tokenizer__ggml__scores=(ARRAY, (F32, [0.0, 1.0, 2.0]))), tensors()),
    "gemma3_window": gguf(
        model("gemma3", 7, gemma3__attention__sliding_window=(U32, 4)), tensors(7)),
    "gemma3_window_flags": gguf(
        model("gemma3", gemma3__attention__sliding_window=(U32, 4),
              gemma3__attention__sliding_window_pattern=(ARRAY, (BOOL, [1, 0]))), tensors()),
    "olmoe": gguf(
        model("olmoe", olmoe__expert_count=(U32, 4), olmoe__expert_used_count=(U32, 2)), tensors(output=True)),
    "smollm3": gguf(model("smollm3", 5), tensors(5)),
    "phi3_per_layer": gguf(
        model("phi3", phi3__attention__head_count_kv=(ARRAY, (I32, [1, 2])),
              phi3__feed_forward_length=(ARRAY, (U32, [8, 16])), phi3__rope__scaling__type=(STRING, "longrope")),
        tensors(more=[("rope_factors_long.weight", (2,)), ("rope_factors_short.weight", (2,))])),
    "shard": gguf(
        model("llama", shoal__shard__first=(U32, 3), shoal__shard__last=(U32, 5), shoal__shard__layer_count=(U32, 9),
              tokenizer__ggml__model=(STRING, "no_vocab")), tensors()),
    "split": gguf(model("llama", split__no=(U16, 0), split__count=(U16, 2), split__tensors__count=(I32, 9)), tensors()),
    "unknown_architecture": gguf(model("mamba"), tensors()),
}

folder = pathlib.Path(__file__).parent / "corpus" / "manifest"
folder.mkdir(parents=True, exist_ok=True)
for name, content in SEEDS.items():
    (folder / f"{name}.gguf").write_bytes(content)
