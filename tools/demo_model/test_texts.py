#!/usr/bin/env python3
"""Checks what the generators of the demo model's corpus make: python3 tools/demo_model/test_texts.py"""

import random
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import stories  # noqa: E402
import story_subjects  # noqa: E402
import talk  # noqa: E402
import unknown  # noqa: E402

SEED = 20240607
VOWEL_SOUND = r"(?:hour|honest|[aeio]|u(?!ni|se|su))"


def article_errors(text):
    """'a owl' and 'an fox'. A reader's rule, apart from the generator's own; 'a' before one-, eu- is right."""
    wrong_a = re.findall(rf"\ba (?!one\b|eu){VOWEL_SOUND}\w*", text, re.IGNORECASE)
    wrong_an = re.findall(rf"\ban (?!{VOWEL_SOUND})\w+", text, re.IGNORECASE)
    return wrong_a + wrong_an


class Stories(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = random.Random(SEED)
        cls.made = [stories.story(rng) for _ in range(3000)]
        for subject in story_subjects.SUBJECTS:
            cls.made += [stories.story(rng, subject) for _ in range(3)]

    def test_rules_of_a_story(self):
        for asks, text, subject in self.made:
            with self.subTest(subject=subject, text=text):
                self.assertTrue(stories.ends_well(text))
                self.assertTrue(50 <= len(text.split()) <= 115)
                self.assertTrue(5 <= len(stories.sentences_of(text)) <= 9)
                self.assertTrue(text.startswith(f"This is a story about {subject}. "))
                self.assertTrue(stories.names_subject(text, subject))
                first = stories.parse_subject(re.split(r" and (?=an? )", subject)[0])
                self.assertGreaterEqual(stories.count_named(text, first.noun), 3)
                self.assertLessEqual(text.lower().find(first.noun.lower()), 120, "the subject is named late")
                self.assertEqual([], re.findall(r"  |[{}]|\s[.,!?]|[^\x20-\x7e]", text))
                self.assertEqual([], article_errors(text))
                self.assertEqual([], [s for s in stories.sentences_of(text) if not re.match(r'["A-Z]', s)])
                for ask in asks:
                    self.assertEqual([], article_errors(ask))

    def test_pronouns_fit_the_name(self):
        # A mover is told of with one pronoun; the friends in those plots have none.
        rng = random.Random(SEED)
        for subject in (s for s in story_subjects.SUBJECTS if s.kind in ("animal", "bird", "fish", "bug", "person",
                                                                  "creature", "machine")):
            text = stories.story(rng, subject)[1]
            narration = re.sub(r'"[^"]*"', "", text)
            he, she = re.findall(r"\b(he|him|his)\b", narration, re.I), re.findall(r"\b(she|her)\b", narration, re.I)
            self.assertFalse(he and she, text)
            if subject.pronoun:
                self.assertFalse(she if subject.pronoun == "he" else he, text)

    def test_requests_name_the_subject(self):
        rng = random.Random(SEED)
        for words in ("a brave little robot", "the moon", "an owl named Ella", "friendship", "Anna", "a walrus",
                      "a zorse"):
            asks, text, subject = stories.story(rng, words)
            self.assertEqual(words, subject)
            for ask in asks:
                self.assertIn(re.sub(r"^(an?|the) ", "", words).lower(), ask.lower())
            self.assertTrue(stories.names_subject(text, words, times=3 if "named" not in words else 1))

    def test_same_seed_same_story(self):
        first, second = random.Random(7), random.Random(7)
        self.assertEqual([stories.story(first) for _ in range(200)], [stories.story(second) for _ in range(200)])

    def test_hardly_two_stories_alike(self):
        self.assertGreater(len({text for _, text, _ in self.made}), 0.99 * len(self.made))

    def test_judges_say_no(self):
        text = stories.story(random.Random(1), "a fox")[1]
        self.assertFalse(stories.names_subject(text, "a submarine"))
        self.assertFalse(stories.names_subject(text, "a fox and a submarine"))
        self.assertFalse(stories.names_subject(text, "a fox named Zebulon"))
        self.assertTrue(stories.names_subject(text, "foxes"))
        self.assertFalse(stories.ends_well(text[:-5]))
        self.assertFalse(stories.ends_well(text[:-20] + " The end."))
        self.assertFalse(stories.ends_well(text + " The end."))

    def test_counts(self):
        self.assertGreaterEqual(len(story_subjects.SUBJECTS), 120)
        self.assertEqual(len(story_subjects.SUBJECTS), len({s.noun.lower() for s in story_subjects.SUBJECTS}))
        self.assertGreaterEqual(len(stories.ASKS), 40)
        self.assertFalse(set(story_subjects.HE) & set(story_subjects.SHE))
        self.assertFalse({s.noun for s in story_subjects.SUBJECTS} & {stories.parse_subject(u).noun for u in story_subjects.UNSEEN})


class Conversations(unittest.TestCase):
    def check_turns(self, turns):
        self.assertEqual(["user", "assistant"] * (len(turns) // 2), [role for role, _ in turns])
        for _, text in turns:
            self.assertTrue(text.strip() == text and text)
            self.assertEqual([], re.findall(r"  |[{}]", text))

    def test_talk(self):
        rng = random.Random(SEED)
        for _ in range(5000):
            turns = talk.conversation(rng)
            with self.subTest(turns=turns):
                self.check_turns(turns)
                self.assertLessEqual(len(turns), 8)
                for role, text in turns:
                    if role == "assistant":
                        self.assertLess(len(text.split()), talk.MAX_WORDS)
                        self.assertEqual([], article_errors(text))

    def test_talk_recalls_what_was_told(self):
        rng, recalled = random.Random(SEED), 0
        for _ in range(3000):
            turns = talk.conversation(rng)
            for index, (_, text) in enumerate(turns):
                name = re.match(r"Your name is (.+)\.$", text)
                if name:
                    recalled += 1
                    self.assertIn(name.group(1).lower(), turns[0][1].lower())
        self.assertGreater(recalled, 100)

    def test_talk_is_unambiguous(self):
        seen = {}
        rng = random.Random(SEED)
        for name, intent in talk.INTENTS.items():
            self.assertGreaterEqual(len(set(intent.asks)), 15, name)
            self.assertIn(len(intent.answers), (1, 2), name)
            for way in intent.asks + [pattern.sample(rng) for pattern in intent.patterns for _ in range(300)]:
                key = way.lower().rstrip(".?!") or way
                self.assertEqual(name, seen.setdefault(key, name), way)
        for told in talk.MEMORIES:
            self.assertGreaterEqual(len(set(told[1])), 15)
            self.assertGreaterEqual(len(set(told[3])), 15)

    def test_unknown(self):
        rng, questions = random.Random(SEED), set()
        for _ in range(20000):
            turns = unknown.unknown(rng)
            self.check_turns(turns)
            questions.add(turns[0][1])
            self.assertFalse(unknown.is_about_shoal(turns[0][1]), turns[0][1])
            asked = unknown.question(rng)
            self.assertEqual([], article_errors(asked), asked)
            self.assertIn(turns[1][1], unknown.ANSWERS)
        self.assertGreater(len(questions), 10000)

    def test_unknown_does_not_refuse_small_talk(self):
        rng = random.Random(SEED)
        known = {way.lower().rstrip(".?!") for intent in talk.INTENTS.values() for way in intent.asks}
        known |= {pattern.sample(rng) for intent in talk.INTENTS.values() for pattern in intent.patterns for _ in range(300)}
        known |= {way.lower().rstrip(".?!") for way in talk.JOKE_ASKS + stories.PLAIN_ASKS}
        for _ in range(20000):
            question = unknown.question(rng)
            self.assertNotIn(question.lower().rstrip(".?!"), known)

    def test_same_seed_same_turns(self):
        for make in (talk.conversation, unknown.unknown, stories.story_conversation):
            first, second = random.Random(7), random.Random(7)
            self.assertEqual([make(first) for _ in range(200)], [make(second) for _ in range(200)])


if __name__ == "__main__":
    unittest.main()
