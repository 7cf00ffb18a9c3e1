"""Makes the training conversations from the texts in this folder, one after the other, all from one seed."""

import random

import stories
import talk
import texts
import unknown
from styles import style

SYSTEM = ["You are a helpful assistant.", "You are Shoal's demo model.", "You are a friendly assistant that answers questions about Shoal.",
          "You answer in short sentences.", "Be helpful and brief.", "You are a helpful AI assistant. Answer the user's questions.",
          "You are an assistant."]
REPEAT = ["say that again", "can you repeat that", "please repeat that", "repeat your answer", "repeat that please", "what did you say",
          "sorry, what was that", "say it again please", "once more please", "again please", "could you say that again",
          "i did not get that", "come again", "pardon", "what was your answer"]
# Parts of a conversation by weight: an exchange about a fact, a story, small talk, what it does not know.
PARTS = {"fact": 0.58, "story": 0.18, "talk": 0.12, "unknown": 0.12}
# How many parts follow each other; the long ones train the far positions.
LENGTHS = [1] * 150 + [2] * 30 + [3] * 10 + [4] * 6 + [6] * 3 + [16]
QUESTIONS = 0.72  # of what is asked about facts: questions written one by one; the rest is made from patterns
RAW_STORIES = 0.01  # without a chat around it, for plain completions


class Corpus:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.facts = texts.load_facts()
        self.weights = [[(1 + pattern.count) ** 0.3 for pattern in fact.asks] for fact in self.facts]
        self.queue = []
        self.held_out = texts.heldout_questions()

    def fact(self):
        """Every fact comes as often as any other, in shuffled rounds."""
        rng = self.rng
        if not self.queue:
            self.queue = list(range(len(self.facts)))
            rng.shuffle(self.queue)
        index = self.queue.pop()
        fact = self.facts[index]
        if fact.questions and rng.random() < QUESTIONS:
            ask = rng.choice(fact.questions)
            ask = ask if rng.random() < 0.3 else style(rng, ask.rstrip("?.!"))
        else:
            ask = style(rng, rng.choices(fact.asks, self.weights[index])[0].sample(rng))
        turns = [("user", ask), ("assistant", rng.choice(fact.answers))]
        if rng.random() < 0.04:
            turns += [("user", style(rng, rng.choice(REPEAT))), turns[-1]]
        return turns

    def story(self):
        if self.rng.random() < 0.25:
            return stories.story_conversation(self.rng)
        asks, text, _ = stories.story(self.rng)
        return [("user", self.rng.choice(asks)), ("assistant", text)]

    def part(self):
        """Never one in which the user asks what the held-out set asks."""
        for _ in range(100):
            turns = self.any_part()
            if not any(role == "user" and texts.plain(text) in self.held_out for role, text in turns):
                return turns
        raise RuntimeError("a hundred parts in a row ask what is held out")

    def any_part(self):
        kind = self.rng.choices(list(PARTS), PARTS.values())[0]
        if kind == "talk":
            return talk.conversation(self.rng)
        if kind == "unknown":
            return unknown.unknown(self.rng)
        return self.fact() if kind == "fact" else self.story()

    def conversation(self):
        """[(role, text), ...]; a lone ("", text) is a text without a chat around it."""
        rng = self.rng
        if rng.random() < RAW_STORIES:
            return [("", stories.story(rng)[1])]
        turns = [("system", rng.choice(SYSTEM))] if rng.random() < 0.08 else []
        for _ in range(rng.choice(LENGTHS)):
            turns += self.part()
        return [(role, text.strip()) for role, text in turns]


def tokens(tokenizer, turns, context, rng=None, drop=0.0):
    """(tokens, weights) of a conversation, cut to the context."""
    if turns[0][0] == "":
        ids, weights = tokenizer.conversation([("assistant", turns[0][1])])
        del ids[1], weights[1]  # the role: the text alone is left, between <s> and <|end|>
    else:
        ids, weights = tokenizer.conversation(turns, rng, drop)
    return ids[:context], weights[:context]
