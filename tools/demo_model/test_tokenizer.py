#!/usr/bin/env python3
"""Checks the demo model's tokenizer and patterns: python3 tools/demo_model/test_tokenizer.py"""

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import texts  # noqa: E402
from styles import style  # noqa: E402
from tokenizer import ASSISTANT, BEGIN, BYTES_FROM, END, PIECES_FROM, SYSTEM, USER, WORD, Tokenizer, train  # noqa: E402

TEXTS = ["Run shoal join on the phone.", "The phone runs shoal join, and the other phone runs shoal serve.", "Port 7420 isn't 8080.",
         "Don't say \"fox\" twice: fox, fox!", "a_b --kv-tokens 16 {x}"] * 5
STRANGE = ["", " ", "  two  spaces ", "tabs\tand\nlines\n", "öäü ß 漢字 🐟", "▁", "it's 'quoted' ''", "1234567890", "<|end|> <s>"]


class TokenizerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = Tokenizer(train(TEXTS, PIECES_FROM + 120))

    def test_round_trip(self):
        for text in TEXTS + STRANGE:
            self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(text)), text.replace("▁", " "))

    def test_round_trip_with_unusual_splits(self):
        rng = random.Random(1)
        splits = set()
        for _ in range(20):
            tokens = self.tokenizer.encode(TEXTS[0], rng, 0.3)
            splits.add(tuple(tokens))
            self.assertEqual(self.tokenizer.decode(tokens), TEXTS[0])
        self.assertGreater(len(splits), 5)

    def test_learns_whole_words(self):
        self.assertEqual([self.tokenizer.decode([t]) for t in self.tokenizer.encode("runs shoal join")][1:], [" shoal", " join"])

    def test_pieces_stay_within_words(self):
        """Or encoding word by word would differ from llama.cpp's encoding of the whole text."""
        for piece in self.tokenizer.pieces:
            self.assertEqual(WORD.findall(piece), [piece])
            self.assertFalse(len(piece) > 1 and any(c.isdigit() for c in piece), piece)

    def test_training_repeats(self):
        self.assertEqual(train(TEXTS, PIECES_FROM + 120), self.tokenizer.pieces)

    def test_what_no_piece_covers_becomes_bytes(self):
        self.assertEqual(self.tokenizer.encode("é"), [BYTES_FROM + byte for byte in "é".encode()])

    def test_conversation(self):
        tokens, weights = self.tokenizer.conversation([("system", "fox"), ("user", "phone"), ("assistant", "Port")])
        fox, phone, port = (self.tokenizer.encode(text) for text in (" fox", " phone", "Port"))
        self.assertEqual(tokens, [BEGIN, SYSTEM, *fox, END, USER, *phone, END, ASSISTANT, *port, END])
        learned = [token for token, weight in zip(tokens, weights) if weight > 0]
        self.assertEqual(learned, [*port, END])
        self.assertEqual(self.tokenizer.prompt([("user", "phone")]), [BEGIN, USER, *phone, END, ASSISTANT])


class PatternTest(unittest.TestCase):
    def test_all_alternatives_come_up(self):
        pattern = texts.Pattern("{W} is [a [big|small]|the|] node", {"W": ["what", "who"]})
        rng = random.Random(1)
        drawn = {pattern.sample(rng) for _ in range(400)}
        self.assertEqual(drawn, {f"{w} is {middle}node" for w in ("what", "who") for middle in ("a big ", "a small ", "the ", "")})
        self.assertEqual(pattern.count, 8)

    def test_mistakes_are_told(self):
        for wrong in ("[a|b", "a]", "{NONE}"):
            with self.assertRaises(ValueError):
                texts.Pattern(wrong, {})

    def test_right(self):
        self.assertTrue(texts.right("Port 7420, over TLS.", "7420|seven; tls"))
        self.assertFalse(texts.right("Port 7420.", "7420|seven; tls"))


class StyleTest(unittest.TestCase):
    def test_keeps_most_of_a_question(self):
        rng = random.Random(1)
        question = "how do i add a phone to the shoal"
        typed = [style(rng, question) for _ in range(300)]
        self.assertGreater(sum("phone" in text for text in typed), 250)
        self.assertGreater(len(set(typed)), 100)
        self.assertGreater(sum(text.endswith("?") for text in typed), 100)


if __name__ == "__main__":
    unittest.main()
