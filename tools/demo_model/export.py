#!/usr/bin/python3
"""Writes a trained demo model as GGUF: export.py --run DIRECTORY --out FILE.gguf [--type F32|Q8_0] [--check]

--check compares what shoal generates from an F32 file of the same weights with what PyTorch generates, token for token, and
the number of tokens of the prompts. Shoal keeps KV in f16 and PyTorch in f32, so where they part, shoal's token must have been
as good as PyTorch's, to a tenth in its logit. Uses the `gguf` package of the pinned llama.cpp (scripts/llama.sh source-dir).
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch

from model import DemoModel, Shape
from tokenizer import BEGIN, CHAT_TEMPLATE, END, UNKNOWN, Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "Shoal demo"


def gguf_package():
    source = subprocess.run([ROOT / "scripts" / "llama.sh", "source-dir"], check=True, capture_output=True,
                            text=True).stdout.strip()
    sys.path.insert(0, str(pathlib.Path(source) / "gguf-py"))
    import gguf  # pylint: disable=import-outside-toplevel
    return gguf


def tensors(model):
    """(name in GGUF, matrix) of everything. The layout is llama.cpp's already: see model.py."""
    yield "token_embd.weight", model.embedding.weight
    yield "output.weight", model.output.weight
    yield "output_norm.weight", model.norm.weight
    for i, block in enumerate(model.blocks):
        q, k, v = block.qkv.weight.chunk(3)
        gate, up = block.gate_up.weight.chunk(2)
        for name, value in (("attn_norm", block.attention_norm.weight), ("attn_q", q), ("attn_k", k), ("attn_v", v),
                            ("attn_output", block.attention_out.weight), ("ffn_norm", block.ffn_norm.weight),
                            ("ffn_gate", gate), ("ffn_up", up), ("ffn_down", block.down.weight)):
            yield f"blk.{i}.{name}.weight", value


def write(path, model, tokenizer, kind, about):
    gguf = gguf_package()
    shape = model.shape
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(NAME)
    writer.add_description(about)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if kind == "Q8_0" else gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    pieces, scores, types = tokenizer.table()
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_pad_token_id(UNKNOWN)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, value in tensors(model):
        array = value.detach().float().numpy()
        if kind == "Q8_0" and array.ndim == 2:
            q8_0 = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, q8_0), raw_dtype=q8_0)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(run):
    saved = torch.load(run / "model.pt", map_location="cpu")
    model = DemoModel(Shape(**saved["shape"]))
    model.load_state_dict(saved["model"])
    return model.eval(), Tokenizer.load(run / "tokenizer.json"), saved


# --- the check ---

LOGIT_TOLERANCE = 0.1

PROMPTS = ["What is Shoal?", "how do i add a phone", "Tell me a story about a fox.", "What happens to my answer when a phone dies?",
           "hello", "Which port does the coordinator use?", "What is the capital of France?", "Write a story about a red teapot.",
           "öäü ∑ 漢字?\nHow many\tnodes?", "  two  spaces  and 1234567890 \"marks\" -- {x}[y] <z> it's don't"]


def behind(model, prompt, ours, theirs):
    """By how much the logit of their first other token is below that of ours; 0 when one is the other's beginning."""
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            with torch.no_grad():
                logits = model.logits(model.hidden(torch.tensor([prompt + ours[:i]]))[0, -1])
            return (logits[a] - logits[b]).item()
    return 0.0


def check(model, tokenizer):
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from shoal import Shoal  # pylint: disable=import-outside-toplevel
    same, bad = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "f32.gguf"
        write(path, model, tokenizer, "F32", "")
        with Shoal(path, nodes=1, context=512, serve_args=["--exact", "on"]) as shoal:
            for text in PROMPTS:
                prompt = tokenizer.prompt([("user", text.strip())])
                ours = model.greedy([prompt], {END}, 60)[0]
                reply = shoal.chat(text, max_tokens=60)
                theirs = reply["choices"][0]["message"]["content"]
                counted = reply["usage"]["prompt_tokens"]
                if tokenizer.decode([t for t in ours if t != END]) == theirs and counted == len(prompt):
                    same += 1
                    continue
                gap = behind(model, prompt, ours, tokenizer.encode(theirs))
                print(f"differs by {gap:.3f}: {text!r}: {counted} tokens, not {len(prompt)}: {theirs!r}, not {tokenizer.decode(ours)!r}")
                bad += gap > LOGIT_TOLERANCE or counted != len(prompt)
    print(f"PyTorch and shoal generate the same for {same} of {len(PROMPTS)} prompts; {len(PROMPTS) - same - bad} part at a tie")
    return bad == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=pathlib.Path, required=True, help="where train.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--type", choices=["F32", "Q8_0"], default="Q8_0")
    parser.add_argument("--check", action="store_true", help="compare with shoal (SHOAL_BIN, else build/release/bin)")
    options = parser.parse_args()
    torch.set_num_threads(2)
    model, tokenizer, saved = load(options.run)
    about = (f"Shoal's own demo model, trained from tools/demo_model: texts {saved['texts'][:16]}, {saved['steps']} steps, "
             f"seed {saved['seed']}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write(options.out, model, tokenizer, options.type, about)
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MiB, {options.type}; {about}")
    if options.check and not check(model, tokenizer):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
