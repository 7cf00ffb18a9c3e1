#!/usr/bin/python3
"""Trains the demo model from this folder's texts: train.py --out DIRECTORY [--steps N]

Conversations are made on the way, so hardly any question comes twice in the same words. Only what the assistant says is
learned. Every conversation starts at position 0, alone in its row; rows of similar length make a batch. Writes
tokenizer.json, model.pt (the weights and what made them) and checkpoint.pt (to go on after an interruption: the same
command again). The same texts, steps and number of threads give the same model on the same machine.
"""

import argparse
import dataclasses
import functools
import os
import pathlib
import re
import time

# A thread that spins while it waits takes the core from what it waits for, as soon as anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402  pylint: disable=wrong-import-position
from torch.nn import functional  # noqa: E402  pylint: disable=wrong-import-position

import stories  # noqa: E402
import talk
import texts
from batches import Batches
from corpus import Corpus
from model import DemoModel, Shape
from muon import Muon
from topics import learn_words, new_head, tell
from tokenizer import PIECES_FROM, Tokenizer, train

VOCABULARY = 4096
MATRIX_RATE, OTHER_RATE, WORD_RATE, WARM_UP = 0.005, 2e-3, 5e-4, 40  # the highest, of Muon, AdamW, and it for the word vectors
CONSTANT_SHARE, LAST_RATE = 0.3, 0.03  # the rates are constant for this share of the steps, then fall to this, ever slower
WEIGHT_DECAY, BETAS, CLIP = 0.01, (0.9, 0.98), 1.0
TOPIC_BLOCK, TOPIC_WEIGHT = 4, 1.0  # the block that has to tell the topic, and how much that counts
COPY_BLOCK, COPY_HEAD, COPY_WEIGHT = 5, 0, 0.5  # the head that has to look at what is taken from the user's words
WORD_REPEATS = 150  # of each word that a story may be about, in what the tokenizer is trained on: each becomes one token


def say(*what):
    print(time.strftime("%H:%M:%S"), *what, flush=True)


def make_tokenizer(path, seed):
    corpus = Corpus(seed)
    sample = []
    for fact in corpus.facts:  # every word of every answer, and many questions
        sample += fact.answers * 20 + [pattern.sample(corpus.rng) for pattern in fact.asks for _ in range(12)]
    for _ in range(16000):
        sample += [text for _, text in corpus.conversation()]
    words = [" " + word for word in sorted(stories.subject_words() | talk.told_words())] * WORD_REPEATS
    pieces = train(sample + words, VOCABULARY)
    pieces = pieces[:(PIECES_FROM + len(pieces)) // 32 * 32 - PIECES_FROM]
    tokenizer = Tokenizer(pieces)
    tokenizer.save(path)
    count = sum(len(tokenizer.encode(text)) for text in sample)
    say(f"tokenizer: {tokenizer.size} tokens; {sum(map(len, sample)) / count:.2f} characters a token")
    return tokenizer


@functools.lru_cache
def has_bfloat16(device):
    """Whether products in bfloat16 have instructions of their own: without them PyTorch would be many times slower."""
    if device != "cpu":
        return True
    try:
        return bool(re.search(r"avx512_bf16|amx_bf16|\bbf16\b", pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii")))
    except OSError:
        return False


def losses_of(model, topic_head, batch):
    """The weighted mean over the tokens; the mean over the topics; how little the copying head sees of what is copied. Products
    in bfloat16 where that is faster, sums and norms in float32."""
    wanted = batch.weights > 0
    with torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=has_bfloat16(batch.inputs.device.type)):
        hidden, middle = model.hidden(batch.inputs, TOPIC_BLOCK)
        logits = model.logits(hidden[wanted])
    weights = batch.weights[wanted]
    loss = (functional.cross_entropy(logits.float(), batch.next[wanted], reduction="none") * weights).sum() / weights.sum()
    topic_loss = copy_loss = loss.new_zeros(())
    begins = batch.topics >= 0
    if begins.any():
        topic_loss = functional.cross_entropy(tell(topic_head, middle[begins]), batch.topics[begins])
    row, column = batch.taken.nonzero(as_tuple=True)
    if len(row):
        sources = (batch.inputs[row] == batch.next[row, column].unsqueeze(1)) & batch.said[row]
        seen = (model.blocks[COPY_BLOCK].seen[row, column] * sources).sum(-1)
        copy_loss = -(seen + 1e-4).log().mean()
    return loss, topic_loss, copy_loss


def rate(step, steps):
    """The share of the highest learning rates at a step."""
    constant = CONSTANT_SHARE * steps
    fallen = max(0, step - constant) / (steps - constant)
    return min((step + 1) / WARM_UP, LAST_RATE ** fallen)


def watch(model, tokenizer, questions):
    """The share of questions answered right, and the wrong answers."""
    model.eval()
    prompts = [tokenizer.prompt([("user", question)]) for question, _ in questions]
    device = next(model.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device)):
        answers = [tokenizer.decode(answer) for answer in model.greedy(prompts, {tokenizer.end}, 64)]
    model.train()
    wrong = [(question, answer) for (question, key), answer in zip(questions, answers) if not texts.right(answer, key)]
    return 1 - len(wrong) / len(questions), wrong


def optimizers_of(model, topic_head):
    """[(optimizer, highest rate), ...]"""
    inner = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blocks")]
    outer = [p for name, p in model.named_parameters() if p.dim() != 2 or name.startswith("output")]
    return [(Muon(inner, weight_decay=WEIGHT_DECAY), MATRIX_RATE),
            (torch.optim.AdamW(outer, betas=BETAS, weight_decay=0.0), OTHER_RATE),
            (torch.optim.AdamW([model.embedding.weight, *topic_head.parameters()], betas=BETAS, weight_decay=0.0), WORD_RATE)]


def save(path, content):
    torch.save(content, str(path) + ".part")
    os.replace(str(path) + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=4200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--watch", type=pathlib.Path, help="a file of questions (as heldout/questions.txt) to ask now and then")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    digest = texts.corpus_sha256()
    checkpoint = options.out / "checkpoint.pt"
    pieces = options.out / "tokenizer.json"
    tokenizer = Tokenizer.load(pieces) if checkpoint.exists() else make_tokenizer(pieces, options.seed)
    shape = Shape(tokenizer.size)
    model = DemoModel(shape).to(device)
    model.blocks[COPY_BLOCK].watched = COPY_HEAD
    batches = Batches(tokenizer, options.seed + 100, shape.context)
    topic_head = new_head(shape.width, batches.topics.count).to(device)
    optimizers = optimizers_of(model, topic_head)
    step, seen, seconds = 0, 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        if (saved["texts"], saved["steps"]) != (digest, options.steps):
            raise SystemExit(f"{checkpoint} is of other texts or steps: remove {options.out} to start anew")
        model.load_state_dict(saved["model"])
        for (optimizer, _), kept in zip(optimizers, saved["optimizers"]):
            optimizer.load_state_dict(kept)
        topic_head.load_state_dict(saved["topic_head"])
        batches.restore(saved["batches"])
        step, seen, seconds = saved["step"], saved["seen"], saved["seconds"]
    else:
        learn_words(model, topic_head, tokenizer, Corpus(options.seed + 50), batches.topics, say)
    say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(batches.corpus.facts)} facts,",
        f"{options.steps} steps from {step} on {device}; texts {digest[:12]}")

    questions = []
    if options.watch:
        keys = {fact.name: fact.key for fact in batches.corpus.facts}
        questions = texts.load_heldout(options.watch.stem, keys, options.watch.parent)
    losses, start = [], time.monotonic()
    while step < options.steps:
        state = batches.state()
        if losses:
            save(checkpoint, {"model": model.state_dict(), "topic_head": topic_head.state_dict(),
                              "batches": state, "optimizers": [optimizer.state_dict() for optimizer, _ in optimizers],
                              "step": step, "seen": seen, "steps": options.steps, "texts": digest,
                              "seconds": seconds + time.monotonic() - start})
        for batch in batches.pool():
            if step >= options.steps:
                break
            loss, topic_loss, copy_loss = losses_of(model, topic_head, batch.to(device))
            for optimizer, _ in optimizers:
                optimizer.zero_grad(set_to_none=True)
            (loss + TOPIC_WEIGHT * topic_loss + COPY_WEIGHT * copy_loss).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            for optimizer, highest in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = highest * rate(step, options.steps)
                optimizer.step()
            losses.append((loss.item(), topic_loss.item(), copy_loss.item()))
            step += 1
            seen += batch.inputs.numel()
            if step % 50 == 0:
                spent = time.monotonic() - start
                speed = len(losses) / spent
                means = [sum(values) / 50 for values in zip(*losses[-50:])]
                say(f"step {step}: loss {means[0]:.4f}, topics {means[1]:.4f}, copies {means[2]:.4f}, {seen / 1e6:.2f} M tokens,",
                    f"{1 / speed:.2f} s a step, {(options.steps - step) / speed / 60:.1f} min left")
            if questions and (step % 500 == 0 or step == options.steps):
                share, wrong = watch(model, tokenizer, questions)
                say(f"step {step}: {share * 100:.1f} % of {len(questions)} questions right")
                for question, answer in wrong[:None if step == options.steps else 12]:
                    print(f"    {question} -> {answer}", flush=True)
    seconds += time.monotonic() - start
    save(options.out / "model.pt", {"model": model.state_dict(), "shape": dataclasses.asdict(shape), "texts": digest,
                                    "steps": options.steps, "seen": seen, "seconds": seconds, "seed": options.seed,
                                    "facts": len(batches.corpus.facts), "threads": options.threads, "device": device,
                                    "loss": sum(loss for loss, _, _ in losses[-200:]) / max(1, len(losses[-200:]))})
    say(f"done: {seen / 1e6:.2f} M tokens in {seconds / 60:.1f} min")


if __name__ == "__main__":
    main()
