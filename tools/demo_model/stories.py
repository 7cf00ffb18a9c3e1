#!/usr/bin/env python3
"""Short children's stories on a given subject: part of what Shoal's demo model learns from.

story() makes one story and several ways to ask for it. A subject has a kind, the kind decides what the hero can do, and
a story is a plot whose beats (sentences) each come in a few wordings. The model must learn to copy the subject out of
the request, so there are many subjects, they take adjectives and names, and every story names its subject at least
three times.

    python3 tools/demo_model/stories.py --sample 5
"""

import argparse
import random
import re

from story_asks import ASKS, WHAT
from story_habitats import HABITATS
from story_plots import CLOSINGS, MOVER_LIKES, MOVER_OPENINGS, MOVER_PLOTS
from story_still_plots import IDEA_PLOTS, LIGHT_PLOTS, LOVED_PLOTS, PLACE_PLOTS, PLANT_PLOTS, RAIN_PLOTS, THING_PLOTS
from story_subjects import (ADJECTIVES, ALIVE, BY_NOUN, HE, HELPERS, KINDS, LAST, NOUNS, PRONOUNS, SECOND, SHE, Subject,
                            SUBJECTS, with_article)

MIN_WORDS, MAX_WORDS = 50, 115
MIN_SENTENCES, MAX_SENTENCES = 5, 9
MIN_NAMED = 3
_TRIES = 200  # a story that breaks a rule (too long, named too seldom) is made anew
# Every story says first what it is about: there a small model learns best to take the subject from the request.
INTRO = "This is a story about {x}."
USUAL = 0.5  # how often a beat has its first wording: what comes often is what a model tells without a slip
FAVORITES = ("a brave little fox|a wise old owl|a friendly dragon|a curious kitten|a little red boat|a lonely star|a shy "
             "hedgehog|a kind robot").split("|")  # when any story will do


# --- requests ---

_ASKS = [ask for ask in ASKS if "{N}" not in ask]
_ASKS_BARE = [ask for ask in ASKS if "{N}" in ask]
# "a fox who is lost" is long, and fits the end of a request and its beginning, if a mark stands behind it.
_ASKS_LAST = [ask for ask in _ASKS if re.search(r"\{x\}[.?!]?$|^\{x\}[:,.!]", ask)]
PLAIN_ASKS = ["Tell me a story.", "Tell me a story", "Please tell me a story.", "Can you tell me a story?",
              "Could you tell me a story, please?", "Write a story.", "Write a short story.",
              "Write me a short tale.", "Make up a story.", "A story, please.", "Story please", "story",
              "A bedtime story, please.", "Tell me a bedtime story.", "I want a story.",
              "I would like to hear a story.", "Do you know a story?", "Do you know any stories?", "Give me a story.",
              "Tell us a story.", "Tell me a fairy tale.", "Can I have a story?", "Let's hear a story.",
              "How about a story?", "Invent a story.", "Write a children's story.", "My kids want to hear a story.",
              "I cannot sleep. Tell me a story.", "I am bored, tell me a story.", "Tell me any story you like.",
              "Once upon a time", "Tell me a short story.", "Will you tell me a story?", "Tell me a nice story.",
              "Can you write stories?", "Can you tell stories?", "Surprise me with a story.", "Read me a story.",
              "Tell me something nice, a story maybe.", "A short tale",]
ANOTHER = ["Another one, please.", "Tell me another story.", "Another story please", "One more story.",
           "One more, please.", "Again!", "More stories please", "Can you tell me another one?",
           "Tell me one more story.", "A new story, please.", "Another!", "I want another story."]
ANOTHER_ABOUT = ["Now one about {x}.", "And one about {x}?", "Tell me another story, about {x}.",
                 "Another one about {x}, please.", "Now tell me one about {x}.", "One more, with {x}.",
                 "And a story about {x}?"]


def plural(noun):
    """'foxes' for 'fox': users ask for a story about foxes too."""
    irregular = {"mouse": "mice", "goose": "geese", "deer": "deer", "sheep": "sheep", "moose": "moose",
                 "fish": "fish", "ox": "oxen", "child": "children", "postman": "postmen", "fisherman": "fishermen",
                 "snowman": "snowmen", "wolf": "wolves", "thief": "thieves", "calf": "calves", "dwarf": "dwarfs",
                 "gingerbread man": "gingerbread men", "leaf": "leaves", "elf": "elves", "tuna": "tuna",
                 "squid": "squid", "shrimp": "shrimp", "salmon": "salmon", "trout": "trout", "goldfish": "goldfish",
                 "starfish": "starfish", "jellyfish": "jellyfish", "clownfish": "clownfish",
                 "pufferfish": "pufferfish", "catfish": "catfish", "buffalo": "buffaloes", "potato": "potatoes",
                 "tomato": "tomatoes", "volcano": "volcanoes", "mosquito": "mosquitoes", "superhero": "superheroes",
                 "reindeer": "reindeer", "police officer": "police officers", "bison": "bison",
                 "man": "men", "woman": "women", "loaf": "loaves",
                 "swordfish": "swordfish"}
    if noun in irregular:
        return irregular[noun]
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def vary(rng, text):
    """The same request as people type it: often in lower case, without the last full stop."""
    if rng.random() < 0.3:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.2:
        text = text.lower()
    if rng.random() < 0.3:
        text = text.rstrip(".?!")
    return text


def _asks(rng, patterns, words, count=8):
    """Requests: patterns with {x} or {N} filled in."""
    return [vary(rng, _capital(pattern.format(x=words, N=words))) for pattern in rng.sample(patterns, count)]


# --- stories ---


def _person(name):
    """A child known by name only: a story about Anna."""
    return Subject(name, "named", "", pronoun="he" if name in HE else "she")


def pick_subject(rng):
    """A subject, often with adjectives, now and then with a name. Kinds with more nouns come up more often."""
    if rng.random() < 0.04:
        return _person(rng.choice(HE + SHE))
    subject = rng.choice(SUBJECTS)
    pools = KINDS[subject.kind].split()
    adjectives = ()
    if subject.article == "a" and pools and rng.random() < 0.6:
        first = rng.choice(ADJECTIVES[pools[0] if len(pools) == 1 or rng.random() < 0.8 else pools[1]])
        adjectives = (first,)
        if pools[0] == "alive" and first not in LAST and rng.random() < 0.3:
            adjectives = (first, rng.choice(SECOND))
    name = ""
    if subject.kind in ALIVE and rng.random() < 0.1:
        name = rng.choice({"he": HE, "she": SHE}.get(subject.pronoun, HE + SHE))
    return Subject(subject.noun, subject.kind, subject.article, adjectives, name, subject.pronoun)


def parse_subject(phrase):
    """The subject behind a user's words, 'a brave little fox named Rusty'; a noun unknown here counts as an animal."""
    name = ""
    if phrase in HE + SHE:
        return _person(phrase)
    match = re.match(r"(.*) (?:named|called) (\w+)$", phrase.strip())
    if match:
        phrase, name = match.groups()
    words = phrase.strip().split()
    article = ""
    if words and words[0].lower() in ("a", "an", "the"):
        article = "the" if words[0].lower() == "the" else "a"
        words = words[1:]
    for first in range(len(words)):
        known = BY_NOUN.get(" ".join(words[first:]).lower())
        if known:
            return Subject(known.noun, known.kind, article or known.article, tuple(words[:first]), name, known.pronoun)
    return Subject(words[-1] if words else "fox", "animal", article or "a", tuple(words[:-1]), name)


def _hero(rng, subject):
    name = subject.noun if subject.kind == "named" else subject.name
    if not name:
        name = rng.choice({"he": HE, "she": SHE}.get(subject.pronoun, HE + SHE))
    pronoun = subject.pronoun or ("he" if name in HE else "she")
    return name, PRONOUNS[pronoun]


def _capital(text):
    return text[0].upper() + text[1:]


class _Slots(dict):
    """Fills a wording. {the} is 'the fox' or, now and then, 'the little fox'; a slot with a capital begins with one."""

    def __init__(self, rng, subject, values):
        super().__init__(values)
        self._rng, self._subject = rng, subject

    def __missing__(self, key):
        if key.lower() == "the":
            text = self._subject.the(full=self._rng.random() < 0.25)
        else:
            text = self[key.lower()]
        return _capital(text) if key[0].isupper() else text


def _of_friend(friend):
    """'the owl' for 'a wise old owl'."""
    return "the " + friend.split()[-1]


def _mover_text(rng, subject, helper):
    named = subject.kind == "named"
    habitat = HABITATS["person" if named else subject.kind]
    name, (he, him, his) = _hero(rng, subject)
    friends = [f for f in habitat["friends"] if f.split()[-1] != subject.noun.split()[-1]]
    friend = helper.phrase() if helper else rng.choice(friends)
    s1, s2, s3 = rng.sample(habitat["search"], 3)
    values = {"a": {"he": "a boy", "she": "a girl"}[he] if named else subject_phrase(subject), "n": name, "he": he,
              "him": him, "his": his, "home": rng.choice(habitat["homes"]), "like": rng.choice(habitat["likes"]),
              "s1": s1, "s2": s2, "s3": s3, "friend": friend,
              "thefriend": helper.the() if helper else _of_friend(friend), "thing": rng.choice(habitat["things"]),
              "treat": rng.choice(habitat["treats"]), "move": rng.choice(habitat["moves"]),
              "house": rng.choice(habitat["house"]),
              "small": rng.choice([s for s in habitat["small"] if s.split()[-1] != subject.noun.split()[-1]])}
    values["thesmall"] = _of_friend(values["small"])
    plots = [p for p in MOVER_PLOTS if not helper or p["helper"]]
    plot = rng.choice(plots)
    beats = list(plot["beats"])
    beats.insert(0, MOVER_OPENINGS)
    if rng.random() < 0.6 and len(beats) < MAX_SENTENCES - 2:
        beats.insert(1, MOVER_LIKES)
    return _tell(rng, beats, _Slots(rng, subject, values)), plot["who"] + ["who lives " + values["home"]]


def subject_phrase(subject):
    return with_article(subject.article, subject.words())


def _still_text(rng, subject, plots):
    he, she = rng.choice(HE), rng.choice(SHE)
    name, (pronoun, him, his) = (he, PRONOUNS["he"]) if rng.random() < 0.5 else (she, PRONOUNS["she"])
    values = {"a": subject_phrase(subject), "n": name, "he": pronoun, "him": him, "his": his,
              "child": "boy" if pronoun == "he" else "girl", "animal": rng.choice(NOUNS["animal"].split()[:14]),
              "time": "day" if subject.noun in ("sun", "rainbow") else "night"}
    values["ananimal"] = with_article("a", values["animal"])
    return _tell(rng, rng.choice(plots)["beats"], _Slots(rng, subject, values))


def _tell(rng, beats, slots):
    # Slots are chosen once, wordings one by one: a beat never contradicts another, whatever wordings come together.
    beats = [CLOSINGS[beat] if isinstance(beat, str) else beat for beat in beats]
    if slots["a"].startswith("the "):  # 'the moon': not 'there was the moon'
        beats[0] = [wording for wording in beats[0] if "there was {a}" not in wording] or beats[0]
    sentences = [(beat[0] if rng.random() < USUAL else rng.choice(beat)).format_map(slots) for beat in beats]
    return " ".join(sentences + ["The end."])


_STILL = {"thing": THING_PLOTS, "place": PLACE_PLOTS, "plant": PLANT_PLOTS, "light": LIGHT_PLOTS, "rain": RAIN_PLOTS,
          "idea": IDEA_PLOTS, "loved": LOVED_PLOTS}


def _text(rng, subject, phrase, helper=None):
    """(the story, what a request may say of its hero besides)"""
    intro = INTRO.format(x=phrase)
    for _ in range(_TRIES):
        if subject.kind in _STILL:
            text, who = _still_text(rng, subject, _STILL[subject.kind]), []
        else:
            text, who = _mover_text(rng, subject, helper)
        text = f"{intro} {text}"
        if is_sound(text) and count_named(text, subject.noun) >= MIN_NAMED:
            return text, who
    raise ValueError(f"stories: no sound story about {subject.phrase()!r} in {_TRIES} tries; see its plots")


def story(rng, subject=None):
    """(asks, text, subject): ways to ask, the story, its subject. `subject`: a Subject, or words ('a brave robot')."""
    if isinstance(subject, str):
        subject = parse_subject(subject)
    given = subject is not None
    kind = rng.random()
    plain = not given and kind > 0.92
    subject = subject or (parse_subject(rng.choice(FAVORITES)) if plain else pick_subject(rng))
    helper = None
    if not given and subject.kind in ALIVE and kind < 0.08:
        helper = rng.choice([s for s in SUBJECTS if s.kind in HELPERS and s.noun != subject.noun])
    phrase = subject.phrase() + (f" and {helper.phrase()}" if helper else "")
    text, who = _text(rng, subject, phrase, helper)
    if plain:
        return [vary(rng, ask) for ask in rng.sample(PLAIN_ASKS, 8)], text, subject_phrase(subject)
    asked, last = phrase, False
    bare = subject.article == "a" and not (subject.adjectives or subject.name or helper)
    if bare and not given and kind < 0.2:
        asked = plural(subject.noun)
    elif who and not given and not helper and 0.3 < kind < 0.5:
        asked, last = f"{phrase} {rng.choice(who if rng.random() < 0.4 else WHAT)}", True
    elif not helper and not subject.name and rng.random() < 0.1:
        return _asks(rng, _ASKS_BARE, subject.words()), text, phrase
    return _asks(rng, _ASKS_LAST if last else _ASKS, asked), text, phrase


def story_conversation(rng):
    """[(role, text), ...]: one story, and now and then another one asked for after it."""
    asks, text, _ = story(rng)
    turns = [("user", asks[0]), ("assistant", text)]
    if rng.random() < 0.25:
        if rng.random() < 0.5:
            subject, ask = parse_subject(rng.choice(FAVORITES)), rng.choice(ANOTHER)
        else:
            subject = pick_subject(rng)
            ask = rng.choice(ANOTHER_ABOUT).format(x=subject.phrase())
        turns += [("user", vary(rng, ask)), ("assistant", story(rng, subject)[1])]
    return turns


def subject_words():
    """The words that a story takes from its request: nouns, adjectives, names."""
    nouns = {word for subject in SUBJECTS for word in subject.noun.split()}
    return nouns | {word for words in ADJECTIVES.values() for word in words} | set(HE + SHE)


# --- judging ---


def sentences_of(text):
    return [s for s in re.split(r'(?<=[.!?])"?\s+(?=["A-Z])', text.strip()) if s]


def count_named(text, noun):
    return len(re.findall(rf"\b{re.escape(noun)}\b", text, re.IGNORECASE))


def ends_well(text):
    """Whether the story stops where a story stops: a closing sentence, then 'The end.', once."""
    text = text.strip()
    body = text[:-len("The end.")].rstrip()
    return (text.endswith("The end.") and text.count("The end.") == 1 and bool(re.search(r'[.!?]"?$', body))
            and text.count('"') % 2 == 0)


def names_subject(text, subject, times=1):
    """Whether the text names what was asked for: 'a little fox' by 'fox', 'a fox named Pip and a bear' by all three."""
    if isinstance(subject, Subject):
        subject = subject.phrase()
    for part in re.split(r" and (?=an? |the )", subject):
        wanted = parse_subject(part)
        one_of = {wanted.noun, plural(wanted.noun)}
        named = sum(count_named(text, noun) for noun in one_of) >= times
        if not named or (wanted.name and count_named(text, wanted.name) < 1):
            # asked in the plural: 'foxes' is named by 'fox'
            singular = next((s.noun for s in SUBJECTS if plural(s.noun) == wanted.noun.lower()), None)
            if not singular or count_named(text, singular) < times:
                return False
    return True


def is_sound(text):
    words, sentences = len(text.split()), len(sentences_of(text))
    return ends_well(text) and MIN_WORDS <= words <= MAX_WORDS and MIN_SENTENCES <= sentences <= MAX_SENTENCES


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, default=5, help="how many stories to print")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subject", help="tell about this, for example 'a brave robot'")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.sample):
        asks, text, subject = story(rng, args.subject)
        print(f"[{subject}] {asks[0]} | {asks[1]}\n{text}\n")


if __name__ == "__main__":
    main()
