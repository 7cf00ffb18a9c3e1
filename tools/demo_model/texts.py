"""Reads what people wrote for the demo model: facts, and the questions kept out of training. Standard library only.

facts/*.txt are blocks separated by blank lines:
  id: kebab-id          the fact's name
  answer: text          a right answer; several lines are several wordings
  key: a|b; c           what makes an answer right: all of ';', one of '|' each, anywhere in it, in any case
  ask: pattern          questions: alternations [a|b|] (they nest, a part may be empty) and macros {NAME}
questions/*.txt have blocks of an id and further questions (ask), plain, each written by hand.
smalltalk/*.txt have blocks of an id (an intent), answers, ways to say it (ask, plain) and patterns of more (pattern).
unknown/*.txt hold lists: a name in brackets, then entries, on lines of their own or parted by ' | '.
facts/macros.txt holds "NAME: a | b | c". Lines that begin with # are comments. heldout/*.txt are blocks as well.
"""

import dataclasses
import hashlib
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent


def blocks(path):
    """[[(field, value), ...], ...] of a file of blocks."""
    found = []
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        fields = []
        for line in block.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            field, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"{path.name}: a line without a field: {line!r}")
            fields.append((field.strip(), value.strip()))
        if fields:
            found.append(fields)
    return found


# --- patterns ---


class Pattern:
    """A pattern parsed: sequences of texts and choices."""

    def __init__(self, text, macros):
        self.text, self.macros, self.at = text, macros, 0
        self.parts = self._sequence(False)
        self.count = self._count(self.parts)

    def _sequence(self, inside):
        parts, plain = [], ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if inside and character in "|]":
                break
            self.at += 1
            if character == "[":
                parts += [plain, self._choice()]
                plain = ""
            elif character == "{":
                end = self.text.find("}", self.at)
                name = self.text[self.at:end]
                if end < 0 or name not in self.macros:
                    raise ValueError(f"unknown macro in {self.text!r}")
                self.at = end + 1
                parts += [plain, [Pattern(option, self.macros).parts for option in self.macros[name]]]
                plain = ""
            elif character == "]":
                raise ValueError(f"']' without '[' in {self.text!r}")
            else:
                plain += character
        return parts + [plain]

    def _choice(self):
        options = []
        while True:
            options.append(self._sequence(True))
            if self.at >= len(self.text):
                raise ValueError(f"'[' without ']' in {self.text!r}")
            self.at += 1
            if self.text[self.at - 1] == "]":
                return options

    def _count(self, parts):
        product = 1
        for part in parts:
            if isinstance(part, list):
                product *= sum(self._count(option) for option in part)
        return product

    def sample(self, rng):
        return " ".join(self._sample(self.parts, rng).split())

    def _sample(self, parts, rng):
        return "".join(part if isinstance(part, str) else self._sample(rng.choice(part), rng) for part in parts)


# --- facts ---


@dataclasses.dataclass
class Fact:
    name: str
    answers: list
    key: str
    asks: list  # patterns
    questions: list  # as people wrote them, one by one


def right(answer, key):
    """Whether an answer holds all that a key wants."""
    answer = answer.lower()
    return all(any(option.strip().lower() in answer for option in part.split("|")) for part in key.split(";"))


def load_macros(folder=HERE / "facts"):
    macros = {}
    for fields in blocks(folder / "macros.txt"):
        for name, value in fields:
            macros[name] = [option.strip() for option in value.split("|")]
    return macros


def load_facts(folder=HERE / "facts"):
    macros, facts = load_macros(folder), []
    for path in sorted(folder.glob("*.txt")):
        if path.name == "macros.txt":
            continue
        for fields in blocks(path):
            take = lambda field: [value for name, value in fields if name == field]  # noqa: E731
            if len(take("id")) != 1 or not take("answer") or not take("key") or not take("ask"):
                raise ValueError(f"{path.name}: a block needs one id, and answer, key and ask: {fields[:1]}")
            facts.append(Fact(take("id")[0], take("answer"), "; ".join(take("key")),
                              [Pattern(ask, macros) for ask in take("ask")], []))
    by_name = {fact.name: fact for fact in facts}
    for path in sorted((folder.parent / "questions").glob("*.txt")):
        for fields in blocks(path):
            values = dict(fields)
            if values.get("id") not in by_name:
                raise ValueError(f"{path.name}: no fact has the id {values.get('id')!r}")
            by_name[values["id"]].questions += [value for field, value in fields if field == "ask"]
    return facts


# --- small talk ---


@dataclasses.dataclass
class Intent:
    """What people say, and what the model answers to it."""

    asks: list
    patterns: list
    answers: list


def load_intents(folder=HERE / "smalltalk"):
    """{name: Intent}"""
    intents = {}
    for path in sorted(folder.glob("*.txt")):
        for fields in blocks(path):
            values = {name: [value for field, value in fields if field == name] for name in ("id", "ask", "pattern", "answer")}
            if values["id"]:
                patterns = [Pattern(text, {}) for text in values["pattern"]]
                intents[values["id"][0]] = Intent(values["ask"], patterns, values["answer"])
    return intents


def load_asks(name):
    return [value for fields in blocks(HERE / name) for field, value in fields if field == "ask"]


def load_lists(name):
    """{list: [entry, ...]} of a file: '[list]', then its entries, on lines of their own or parted by ' | '."""
    lists = {}
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            entries = lists.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            entries += line.split(" | ")
    return lists


# --- what is kept out of training ---


def load_heldout(name, keys=None, folder=HERE / "heldout"):
    """[(question, key), ...] of heldout/NAME.txt; `keys` maps a fact's id to its key."""
    found = []
    for fields in blocks(folder / f"{name}.txt"):
        values = dict(fields)
        key = values.get("key") or (keys or {}).get(values.get("id"))
        if not key:
            raise ValueError(f"{name}.txt: no key for {fields}")
        found += [(value, key) for field, value in fields if field == "ask"]
    return found


def plain(text):
    """Lower case, words alone: what two questions have in common that differ in nothing else."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def heldout_questions(folder=HERE / "heldout"):
    """All of them, plain."""
    return {plain(value.partition(" | subject:")[0]) for path in sorted(folder.glob("*.txt")) for fields in blocks(path)
            for field, value in fields if field == "ask"}


_CORPUS_CODE = ("corpus story_asks story_habitats story_plots story_still_plots story_subjects stories styles talk texts "
                "tokenizer unknown").split()


def corpus_sha256():
    """Of all files that decide what is trained on, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted([*HERE.glob("facts/*.txt"), *HERE.glob("questions/*.txt"), *HERE.glob("heldout/*.txt"),
                        *HERE.glob("smalltalk/*.txt"), *HERE.glob("unknown/*.txt"),
                        *(HERE / f"{name}.py" for name in _CORPUS_CODE)]):
        total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()
