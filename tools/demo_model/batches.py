"""Conversations as batches of tokens, with what train.py wants to be learned from each token.

A conversation is a row of its own, from position 0; rows of similar length make a batch. Most rows end a few tokens into
their last answer: how an answer goes on is soon known, which one it is is not. Words that a story or small talk takes from
the user are marked, so that they count more and a head can be taught to look at them.
"""

import dataclasses
import random

import torch

import stories
import talk
from corpus import Corpus, tokens
from tokenizer import ASSISTANT, SYSTEM, USER
from topics import Topics

BATCH_TOKENS = 3072  # padding included
POOL_BATCHES = 48  # conversations are sorted by length within a pool
SHORT_CHANCE, SHORT_TOKENS, SHORT_STORY_TOKENS = 0.7, 10, 32
COPY_WEIGHT = 4.0  # of a word taken from the user, beside other words of the same answer
SPLIT_CHANCE, SPLIT_DROP = 0.15, 0.15  # how often the words of a conversation's questions are split in unusual ways


@dataclasses.dataclass
class Batch:
    """Tensors of (rows, columns). Column c is what stands at token c, or what is to be said after it (next, weights, taken)."""

    inputs: torch.Tensor
    next: torch.Tensor
    weights: torch.Tensor  # of the next token's loss; 0 where the assistant does not speak
    topics: torch.Tensor  # where an answer begins: what it is about; else -1
    said: torch.Tensor  # bool: a word of the user's that an answer may take
    taken: torch.Tensor  # bool: the next token is such a word, taken from the user

    def to(self, device):
        return Batch(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))


class Batches:
    def __init__(self, tokenizer, seed, context):
        self.tokenizer, self.context = tokenizer, context
        self.corpus = Corpus(seed)
        self.topics = Topics(self.corpus.facts)
        self.rng = random.Random(seed + 1)
        self.copied_words = {token for word in stories.subject_words() | talk.told_words()
                             for token in tokenizer.encode(" " + word)}

    def pool(self):
        rows, total = [], 0
        while total < POOL_BATCHES * BATCH_TOKENS:
            rows.append(self._row())
            total += len(rows[-1][0]) - 1
        rows.sort(key=lambda row: len(row[0]))
        batches, batch = [], []
        for row in rows:
            if batch and (len(batch) + 1) * (len(row[0]) - 1) > BATCH_TOKENS:
                batches.append(batch)
                batch = []
            batch.append(row)
        batches.append(batch)
        self.rng.shuffle(batches)
        return (self._tensors(batch) for batch in batches)

    def _row(self):
        """(tokens, weights, topics, said, taken), a value for each token."""
        drop = SPLIT_DROP if self.rng.random() < SPLIT_CHANCE else 0.0
        turns = self.corpus.conversation()
        ids, weights = tokens(self.tokenizer, turns, self.context, self.rng, drop)
        starts = [i for i, token in enumerate(ids) if token == ASSISTANT]
        topics = [-1] * len(ids)
        for start, answer in zip(starts, [text for role, text in turns if role == "assistant"]):
            topics[start] = self.topics.of(answer)
        said, taken = self._copied(ids, topics)
        weights = [weight * (COPY_WEIGHT if copied else 1) for weight, copied in zip(weights, taken)]
        length = len(ids)
        if starts and self.rng.random() < SHORT_CHANCE:
            length = starts[-1] + (SHORT_STORY_TOKENS if topics[starts[-1]] == self.topics.story else SHORT_TOKENS)
        return tuple(part[:length] for part in (ids, weights, topics, said, taken))

    def _copied(self, ids, topics):
        """Which tokens are a user's words, and which are those words again in a story or in small talk."""
        said, taken, speaker, known, topic = [], [], None, set(), -1
        for token, started in zip(ids, topics):
            if token in (USER, ASSISTANT, SYSTEM):
                speaker, topic = token, started
            word = token in self.copied_words
            said.append(speaker == USER and word)
            taken.append(speaker == ASSISTANT and word and topic in (self.topics.story, self.topics.other) and token in known)
            if said[-1]:
                known.add(token)
        return said, taken

    @staticmethod
    def _tensors(rows):
        shape = len(rows), max(len(row[0]) for row in rows) - 1
        batch = Batch(torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long), torch.zeros(shape),
                      torch.full(shape, -1, dtype=torch.long), torch.zeros(shape, dtype=torch.bool),
                      torch.zeros(shape, dtype=torch.bool))
        for i, (ids, weights, topics, said, taken) in enumerate(rows):
            end = len(ids) - 1
            batch.inputs[i, :end] = torch.tensor(ids[:-1])
            batch.next[i, :end] = torch.tensor(ids[1:])
            batch.weights[i, :end] = torch.tensor(weights[1:])
            batch.topics[i, :end] = torch.tensor(topics[:-1])
            batch.said[i, :end] = torch.tensor(said[:-1])
            batch.taken[i, :end] = torch.tensor(taken[1:])
        return batch

    def state(self):
        return self.corpus.rng.getstate(), list(self.corpus.queue), self.rng.getstate()

    def restore(self, state):
        self.corpus.rng.setstate(state[0])
        self.corpus.queue = list(state[1])
        self.rng.setstate(state[2])
