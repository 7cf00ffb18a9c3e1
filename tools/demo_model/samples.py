"""Prints what a generator of conversations makes, for people who write one: `--sample N --seed S`."""

import argparse
import random


def print_conversations(description, conversation):
    """`conversation(rng)` gives [(role, text), ...]."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--sample", type=int, default=5, help="how many conversations to print")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.sample):
        print("\n".join(f"{role}: {text}" for role, text in conversation(rng)) + "\n")
