#!/usr/bin/env python3
"""Checks the facts of the demo model: check_facts.py [--list ID] [FOLDER]

facts/*.txt hold blocks separated by blank lines:
  id: kebab-id          the fact's name
  answer: text          a right answer; several lines are several wordings
  key: a|b; c           what makes an answer right: all of ';', one of '|' each, anywhere in it, in any case
  ask: pattern          questions: alternations [a|b|] (they nest, a part may be empty) and macros {NAME}
facts/macros.txt holds "NAME: a | b | c". Lines that begin with # are comments.

Ends with 1 where something is wrong: unknown macros, a key that an answer lacks, a question that two facts claim, too few
questions, answers that are too long.
"""
import itertools
import random
import re
import sys
from pathlib import Path

ANSWER_CHARACTERS_MAX = 220
ANSWER_WORDS = (5, 34)
PATTERNS_MIN = 10
QUESTIONS_MIN = 200
SAMPLE = 6000  # questions of a fact that are compared with those of the others


def load_macros(folder):
    macros = {}
    for line in (folder / "macros.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, values = line.partition(":")
            macros[name.strip()] = [value.strip() for value in values.split("|")]
    return macros


def load_facts(folder):
    facts = []
    for path in sorted(folder.glob("*.txt")):
        if path.name == "macros.txt":
            continue
        for block in re.split(r"\n\s*\n", path.read_text()):
            fact = {"file": path.name, "id": [], "answer": [], "key": [], "ask": []}
            for line in block.splitlines():
                if not line.strip() or line.startswith("#"):
                    continue
                field, colon, value = line.partition(": ")
                if not colon or field not in ("id", "answer", "key", "ask"):
                    raise ValueError(f"{path.name}: no field: {line!r}")
                fact[field].append(value.strip())
            if fact["id"]:
                facts.append(fact)
            elif any(fact[field] for field in ("answer", "key", "ask")):
                raise ValueError(f"{path.name}: a block without id: {block[:60]!r}")
    return facts


def parse(pattern, macros):
    """A pattern as a tree: a list of parts, each a text or a list of alternatives (trees)."""
    position = 0

    def sequence(inside):
        nonlocal position
        parts, text = [], ""
        while position < len(pattern):
            c = pattern[position]
            if inside and c in "|]":
                break
            position += 1
            if c == "]":
                raise ValueError(f"']' without '[': {pattern}")
            if c not in "[{":
                text += c
                continue
            parts.append(text)
            text = ""
            if c == "{":
                end = pattern.index("}", position)
                name = pattern[position:end]
                position = end + 1
                if name not in macros:
                    raise ValueError(f"unknown macro {{{name}}}: {pattern}")
                parts.append([[value] for value in macros[name]])
                continue
            alternatives = [sequence(True)]
            while position < len(pattern) and pattern[position] == "|":
                position += 1
                alternatives.append(sequence(True))
            if position >= len(pattern):
                raise ValueError(f"'[' without ']': {pattern}")
            position += 1
            parts.append(alternatives)
        return parts + [text]

    return sequence(False)


def count(tree):
    total = 1
    for part in tree:
        if isinstance(part, list):
            total *= sum(count(alternative) for alternative in part)
    return total


def expand_all(tree):
    choices = [[part] if isinstance(part, str) else [text for alternative in part for text in expand_all(alternative)]
               for part in tree]
    return ("".join(choice) for choice in itertools.product(*choices))


def expand_one(tree, rng):
    return "".join(part if isinstance(part, str) else expand_one(rng.choice(part), rng) for part in tree)


def normal(text):
    return " ".join(re.sub(r"[^a-z0-9_/.]+", " ", text.lower()).split()).strip(" .")


def questions(fact, macros, rng):
    """All questions of a fact as the comparison sees them, or a sample of a large pattern."""
    found = set()
    per_pattern = SAMPLE // max(1, len(fact["ask"]))
    for pattern in fact["ask"]:
        tree = parse(pattern, macros)
        if count(tree) <= 4 * per_pattern:
            found.update(map(normal, expand_all(tree)))
        else:
            found.update(normal(expand_one(tree, rng)) for _ in range(2 * per_pattern))
    return found


def check_answers(fact):
    for answer in fact["answer"]:
        if len(answer) > ANSWER_CHARACTERS_MAX:
            yield f"an answer of {len(answer)} characters"
        if not ANSWER_WORDS[0] <= len(answer.split()) <= ANSWER_WORDS[1]:
            yield f"an answer of {len(answer.split())} words"
        for needed in fact["key"][0].split(";") if fact["key"] else []:
            if not any(word.strip().lower() in answer.lower() for word in needed.split("|")):
                yield f"the key '{needed.strip()}' is not in: {answer}"


def main(arguments):
    listed = arguments[arguments.index("--list") + 1] if "--list" in arguments else None
    folders = [a for a in arguments if not a.startswith("--") and a != listed]
    folder = Path(folders[0]) if folders else Path(__file__).parent / "facts"
    macros = load_macros(folder)
    facts = load_facts(folder)
    rng = random.Random(1)
    problems, owner, ids, sizes = [], {}, set(), []
    for fact in facts:
        name = fact["id"][0]
        where = f"{fact['file']} {name}"
        if name in ids or len(fact["id"]) != 1:
            problems.append(f"{where}: this id is not alone")
        ids.add(name)
        if not fact["answer"] or len(fact["key"]) != 1:
            problems.append(f"{where}: needs an answer and one key line")
            continue
        problems += [f"{where}: {text}" for text in check_answers(fact)]
        try:
            size = sum(count(parse(pattern, macros)) for pattern in fact["ask"])
            found = questions(fact, macros, rng)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        sizes.append(size)
        if len(fact["ask"]) < PATTERNS_MIN or size < QUESTIONS_MIN or len(found) < min(QUESTIONS_MIN, SAMPLE):
            problems.append(f"{where}: {len(fact['ask'])} patterns, {size} questions, {len(found)} distinct of those compared")
        claimed = {}
        for question in found:
            other = owner.setdefault(question, name)
            if other != name:
                claimed.setdefault(other, []).append(question)
        problems += [f"{where}: claims questions of {other}, as '{sorted(both)[0]}' ({len(both)} of them)"
                     for other, both in claimed.items()]
        if name == listed:
            print("\n".join(sorted(found)))
    for problem in problems:
        print(problem)
    if sizes:
        print(f"{len(facts)} facts, {sum(sizes)} questions, {min(sizes)} to {max(sizes)} each; {len(problems)} problems")
    return 1 if problems or not sizes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
