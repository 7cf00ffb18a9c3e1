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
from dataclasses import dataclass

from story_plots import (CLOSINGS, HABITATS, IDEA_PLOTS, LIGHT_PLOTS, LOVED_PLOTS, MOVER_LIKES, MOVER_OPENINGS,
                         MOVER_PLOTS, PLACE_PLOTS, PLANT_PLOTS, RAIN_PLOTS, THING_PLOTS)

MIN_WORDS, MAX_WORDS = 50, 110
MIN_SENTENCES, MAX_SENTENCES = 4, 8
MIN_NAMED = 3
_TRIES = 200  # a story that breaks a rule (too long, named too seldom) is made anew


@dataclass(frozen=True)
class Subject:
    """What a story is about: 'a brave little fox', 'the moon', 'friendship'."""

    noun: str  # what the story repeats: 'fox', 'polar bear', 'moon'
    kind: str  # a key of KINDS
    article: str = "a"  # 'a' (a or an, as the next word wants), 'the', or '' for what takes none
    adjectives: tuple = ()
    name: str = ""  # asked for: 'a fox named Rusty'
    pronoun: str = ""  # 'he' or 'she' where the noun says so (queen), else '' and the name decides

    def words(self):
        return " ".join(self.adjectives + (self.noun,))

    def phrase(self):
        named = f" named {self.name}" if self.name else ""
        return with_article(self.article, self.words()) + named

    def the(self, full=False):
        noun = self.words() if full else self.noun
        return f"the {noun}" if self.article else noun


def with_article(article, words):
    if article == "a":
        return f"{a_or_an(words)} {words}"
    return f"{article} {words}" if article else words


def a_or_an(words):
    """The article that fits the sound of the next word."""
    word = words.split()[0].lower()
    if re.match(r"(uni|use|usual|one\b|eu)", word):
        return "a"
    if re.match(r"(hour|honest)", word):
        return "an"
    return "an" if word[0] in "aeiou" else "a"


# --- subjects ---

NOUNS = {
    "animal":
        "fox bear rabbit mouse hedgehog squirrel deer wolf badger cat kitten dog puppy cow calf horse pony donkey "
        "sheep lamb goat pig piglet elephant lion tiger monkey giraffe zebra camel kangaroo koala panda sloth penguin "
        "ostrich hippo rhino leopard cheetah llama beaver raccoon skunk moose reindeer hamster guinea_pig mole hare "
        "lizard gecko frog toad tortoise gorilla polar_bear buffalo yak meerkat chipmunk porcupine armadillo anteater "
        "weasel ferret lynx jaguar crocodile dinosaur hen rooster turkey chick rat bull wild_boar tiger_cub bear_cub "
        "antelope ox",
    "bird":
        "owl robin sparrow crow raven eagle parrot duck duckling goose swan pigeon dove seagull flamingo pelican "
        "stork woodpecker swallow magpie hummingbird peacock bat cuckoo blackbird hawk falcon toucan canary "
        "nightingale",
    "fish":
        "fish goldfish whale dolphin shark octopus seahorse crab lobster turtle seal starfish jellyfish squid shrimp "
        "salmon otter walrus tuna eel trout sea_turtle baby_whale clownfish pufferfish catfish",
    "bug":
        "bee butterfly ladybug firefly dragonfly moth ant beetle spider snail caterpillar worm grasshopper cricket "
        "bumblebee mosquito snake centipede",
    "person":
        "boy girl child baker farmer teacher doctor sailor pirate king queen prince princess knight astronaut painter "
        "singer dancer gardener shepherd fisherman clown grandmother grandfather librarian nurse cook postman tailor "
        "woodcutter explorer inventor scientist student musician detective carpenter blacksmith mermaid fairy elf "
        "dwarf giant wizard witch captain cowboy ninja superhero firefighter police_officer pilot bus_driver mother "
        "father brother sister twin baby mechanic poet drummer magician thief emperor",
    "creature":
        "dragon unicorn ghost monster troll goblin phoenix griffin snowman alien gnome robot teddy_bear scarecrow "
        "yeti vampire genie puppet sea_monster baby_dragon zombie gingerbread_man toy_soldier",
    "machine":
        "train tractor fire_engine bus truck car bicycle boat ship rocket helicopter airplane tram submarine "
        "steam_engine sailboat spaceship snowplow digger taxi motorcycle ambulance sled crane drone",
    "thing":
        "kite teapot lamp shoe ball drum book clock umbrella balloon candle mirror violin guitar bell button key coin "
        "pencil hat scarf mitten sock blanket pillow spoon cup bowl chair table doll suitcase basket lantern "
        "telescope phone radio camera computer toy_car toy_train paper_boat paper_plane music_box snow_globe bottle "
        "jar ring crown treasure_chest map stamp letter whistle puzzle backpack raincoat broom carpet piano flute "
        "trumpet cookie cupcake pancake teacup necklace marble yo-yo wagon swing ladder bucket paintbrush crayon "
        "watch ticket battery charger router feather pebble seashell box statue tablet laptop television calculator",
    "place":
        "castle island lighthouse garden village mountain bridge school library treehouse forest river lake house "
        "windmill farm cave beach harbor train_station bakery playground museum zoo circus market tower desert hill "
        "valley meadow pond waterfall park toy_shop bookshop hotel palace city town cottage well jungle theater "
        "hospital swamp volcano",
    "plant":
        "tree apple_tree oak_tree pine_tree cherry_tree sunflower rose cactus pumpkin mushroom flower daisy tulip "
        "carrot tomato strawberry willow rosebush poppy Christmas_tree palm_tree bean potato apple leaf acorn "
        "lemon_tree orchid",
    "light":
        "star comet shooting_star",
    "rain":
        "cloud raindrop rain_cloud breeze snowflake",
    "idea":
        "friendship kindness courage love hope patience honesty sharing trust happiness teamwork peace luck "
        "forgiveness joy bravery respect freedom magic",
    "loved":
        "winter summer spring autumn music snow Christmas space chocolate dancing football painting baking ice_cream "
        "swimming reading camping pizza cheese Halloween fishing skating",
}
ONLY_ONES = [("moon", "light"), ("sun", "light"), ("wind", "rain"), ("rain", "rain"), ("sea", "place"),
             ("North_Star", "light"), ("ocean", "place"), ("rainbow", "light")]
# Never in training: what the model makes of subjects it has not seen.
UNSEEN = ("a mongoose|a heron|a puffin|a wolverine|a gazelle|a plumber|a barber|a shoemaker|a tugboat|a scooter|a "
          "hovercraft|a thimble|a harp|a saddle|an anchor|a chapel|a canyon|a lilac bush|a lanternfish|a brave "
          "little newt").split("|")
GENDER = {noun: "he" for noun in ("boy king prince fisherman grandfather postman cowboy father brother wizard rooster "
                                  "bull emperor snowman").split() + ["gingerbread man"]}
_SHE_NOUNS = "girl queen princess grandmother mermaid fairy witch mother sister cow hen"
GENDER.update({noun: "she" for noun in _SHE_NOUNS.split()})

ADJECTIVES = {
    "alive":
        ("little brave shy clever kind sleepy curious happy lonely old young tiny friendly funny gentle lazy proud "
         "quiet silly small big hungry lost grumpy cheerful polite busy careful sad honest unusual impatient "
         "adventurous").split(),
    "color":
        ("white black brown gray green red blue purple golden orange yellow pink").split(),
    "thing":
        ("little old red blue yellow green golden silver magic tiny shiny lost forgotten beautiful small big strange "
         "lucky special orange purple broken dusty unusual").split(),
    "place":
        ("old quiet hidden secret small big sunny magic lonely little beautiful strange forgotten empty "
         "enchanted").split(),
    "plant":
        ("little tall small lonely thirsty beautiful proud shy golden magic young old").split(),
    "sky":
        ("little bright shy lonely kind sleepy friendly small happy curious").split(),
}
_ALIVE = ("animal", "bird", "fish", "bug", "person", "creature", "machine")
_HELPERS = ("animal", "bird", "fish", "person", "creature")
KINDS = {"animal": "alive color", "bird": "alive color", "fish": "alive color", "bug": "alive color",
         "person": "alive", "creature": "alive color", "machine": "alive color", "thing": "thing", "place": "place",
         "plant": "plant", "light": "sky", "rain": "sky", "idea": "", "loved": "", "named": "",}
_SECOND = ("little", "old", "young")  # may follow another adjective: a brave little fox
_LAST = _SECOND + ("tiny", "small", "big") + tuple(ADJECTIVES["color"])  # none of those follows these


def _subjects():
    subjects = []
    for kind, nouns in NOUNS.items():
        article = "" if kind in ("idea", "loved") else "a"
        for noun in nouns.split():
            noun = noun.replace("_", " ")
            subjects.append(Subject(noun, kind, article, pronoun=GENDER.get(noun, "")))
    for noun, kind in ONLY_ONES:
        subjects.append(Subject(noun.replace("_", " "), kind, "the"))
    return subjects


SUBJECTS = _subjects()
_BY_NOUN = {s.noun.lower(): s for s in SUBJECTS}

# Names of heroes; the list decides the pronoun, so that 'Pip ... he' holds through a story.
HE = ("Pip Rusty Bruno Max Leo Oscar Finn Toby Sam Milo Otto Felix Benny Hugo Charlie Jack Theo Gus Archie Ralph "
      "Barney Teddy Rocco Ziggy Tom Ben Noah Adam Paul Peter Emil Ivan Omar Ravi Kenji Luis Marco "
      "Anton Jonas Henry").split()
SHE = ("Luna Bella Daisy Molly Ruby Poppy Lily Rosie Nora Mia Zoe Tilly Hazel Ivy Willow Clara Ella Maya Coco Penny "
       "Stella Lola Fern Pearl Olive Anna Emma Sofia Lena Amina Priya Yuki Rosa Carla Greta Ines "
       "Alice Eva Julia Sara").split()
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her"), "it": ("it", "it", "its")}

# --- requests ---

ASKS = ["Tell me a story about {x}.", "Tell me a story about {x}", "Tell me a short story about {x}.",
        "Please tell me a story about {x}.", "Can you tell me a story about {x}?",
        "Could you tell me a story about {x}, please?", "Write a story about {x}.", "Write a short story about {x}.",
        "Write me a short tale about {x}.", "Write a short tale with {x} in it.",
        "Can you make up a story? It should be about {x}.", "Make up a story about {x}.", "{X} story please",
        "A bedtime story about {x}", "Tell me a bedtime story about {x}.", "I want a story about {x}.",
        "I would like to hear a story about {x}.", "I would like a bedtime story about {x}, please.",
        "Do you know a story about {x}?", "Do you have a story about {x}?", "Story about {x}",
        "A story about {x}, please.", "Short story: {x}", "Story: {x}", "Give me a story about {x}.",
        "Give me a short children's story about {x}.", "Write a children's story about {x}.",
        "Write a fairy tale about {x}.", "Tell a fairy tale about {x}.", "Tell me a tale of {x}.",
        "Tell us a story about {x}.", "My daughter wants a story about {x}.", "My son would like a story about {x}.",
        "My kids want to hear a story about {x}.", "Can I have a story about {x}?", "Could I hear a story about {x}?",
        "Let's hear a story about {x}.", "How about a story about {x}?", "Invent a story about {x}.",
        "Create a short story with {x}.", "Create a story about {x} for my child.",
        "Please write a story with {x} in it.", "I need a short story about {x}.",
        "I need a bedtime story. It should be about {x}.", "Now tell me a story about {x}.",
        "Will you tell me a story about {x}?", "Would you write a little story about {x}?",
        "Tell me something about {x}, as a story.", "Once upon a time there was {x}. Tell me the story.",
        "Can you write a story where {x} is the hero?", "A story with {x} as the hero, please.",
        "Please read me a story about {x}.", "Hi, can you tell me a story about {x}?",
        "Hello! Please tell me a short story about {x}.", "A short tale about {x}",
        "A little story about {x} would be nice.", "Tell the children a story about {x}.",
        "Tell my little sister a story about {x}.", "Think of a story about {x}.",
        "It is bedtime. Tell a story about {x}.", "Before I sleep, tell me a story about {x}.",
        "We want a story with {x}!", "A nice story about {x}", "Tell me a nice story with {x}.",
        "Tell me a happy story about {x}.", "Tell me a new story about {x}.",
        "Could you make a story with {x} in it?", "What happened to {x}? Tell me a story.",
        "Entertain me with a story about {x}.",]
_ASKS_LAST = [ask for ask in ASKS if re.search(r"\{x\}[.?!]?$", ask)]
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
                 "reindeer": "reindeer", "police officer": "police officers"}
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


def _asks(rng, phrase, last=False, count=8):
    """Requests; `last`: the subject is long ('a fox who is lost') and fits the end of a request only."""
    asks = []
    for pattern in rng.sample(_ASKS_LAST if last else ASKS, count):
        bare = re.sub(r"^(an?|the) ", "", phrase)
        asks.append(vary(rng, pattern.format(x=phrase, X=bare[0].upper() + bare[1:])))
    return asks


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
        if pools[0] == "alive" and first not in _LAST and rng.random() < 0.3:
            adjectives = (first, rng.choice(_SECOND))
    name = ""
    if subject.kind in _ALIVE and rng.random() < 0.1:
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
        known = _BY_NOUN.get(" ".join(words[first:]).lower())
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
    if rng.random() < 0.6 and len(beats) < MAX_SENTENCES - 1:
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
    sentences = [rng.choice(beat).format_map(slots) for beat in beats]
    return " ".join(sentences + ["The end."])


_STILL = {"thing": THING_PLOTS, "place": PLACE_PLOTS, "plant": PLANT_PLOTS, "light": LIGHT_PLOTS, "rain": RAIN_PLOTS,
          "idea": IDEA_PLOTS, "loved": LOVED_PLOTS}


def _text(rng, subject, helper=None):
    """(the story, what a request may say of its hero besides)"""
    for _ in range(_TRIES):
        if subject.kind in _STILL:
            text, who = _still_text(rng, subject, _STILL[subject.kind]), []
        else:
            text, who = _mover_text(rng, subject, helper)
        if is_sound(text) and count_named(text, subject.noun) >= MIN_NAMED:
            return text, who
    raise ValueError(f"stories: no sound story about {subject.phrase()!r} in {_TRIES} tries; see its plots")


def story(rng, subject=None):
    """(asks, text, subject): ways to ask, the story, its subject. `subject`: a Subject, or words ('a brave robot')."""
    if isinstance(subject, str):
        subject = parse_subject(subject)
    given = subject is not None
    subject = subject or pick_subject(rng)
    kind = rng.random()
    helper = None
    if not given and subject.kind in _ALIVE and kind < 0.08:
        helper = rng.choice([s for s in SUBJECTS if s.kind in _HELPERS and s.noun != subject.noun])
    text, who = _text(rng, subject, helper)
    if not given and kind > 0.92:
        return [vary(rng, ask) for ask in rng.sample(PLAIN_ASKS, 8)], text, subject_phrase(subject)
    phrase = subject.phrase()
    if helper:
        phrase = f"{phrase} and {helper.phrase()}"
    asked, last = phrase, False
    bare = subject.article == "a" and not (subject.adjectives or subject.name or helper)
    if bare and not given and kind < 0.2:
        asked = plural(subject.noun)
    elif who and not given and not helper and 0.3 < kind < 0.45:
        asked, last = f"{phrase} {rng.choice(who)}", True
    return _asks(rng, asked, last), text, phrase


def story_conversation(rng):
    """[(role, text), ...]: one story, and now and then another one asked for after it."""
    asks, text, _ = story(rng)
    turns = [("user", asks[0]), ("assistant", text)]
    if rng.random() < 0.25:
        subject = pick_subject(rng)
        ask = rng.choice(ANOTHER) if rng.random() < 0.5 else rng.choice(ANOTHER_ABOUT).format(x=subject.phrase())
        turns += [("user", vary(rng, ask)), ("assistant", story(rng, subject)[1])]
    return turns


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
