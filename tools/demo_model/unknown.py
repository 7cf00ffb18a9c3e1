#!/usr/bin/env python3
"""Questions that are beyond Shoal's demo model, and what it says to them: that it is small and only knows about Shoal.

Many forms of question times many topics, so that the model learns the border (Shoal, small talk and stories on one
side, all the rest of the world on the other) instead of a list. Nothing in here may be a question about Shoal: see
SHOAL_WORDS.

    python3 tools/demo_model/unknown.py --sample 5
"""

import re

from samples import print_conversations
from stories import plural as plural_of_subject
from story_subjects import SUBJECTS, a_or_an
from styles import slip
from texts import load_lists

ANSWERS = ["I am a small demo model and I only know about Shoal. Load a larger model to ask me that.",
           "That is beyond me. I am a small demo model that only knows about Shoal."]
ANSWER_WEIGHTS = (3, 1)
WHY_ASKS = ["Why not?", "Why?", "Why don't you know that?", "Why can't you answer that?", "Why do you not know it?",
            "How come?", "Why is that?", "You should know that.", "But why not?", "Is that so?", "Really?",
            "Please try.", "Just try it.", "Try anyway.", "Please answer."]
WHY_ANSWER = "I was only taught about Shoal, small talk and short stories."

# Words of Shoal's own field: no question in here may contain one, or the model
# would learn to refuse what it should know.
SHOAL_WORDS = ("shoal phone phones smartphone android iphone node nodes device devices coordinator stage stages shard "
               "shards pipeline replica layer layers quantization quantisation quant token tokens tokenizer gguf "
               "llama llm llms battery batteries wifi wi-fi dashboard port ports api openai plan epoch journal kernel "
               "planner scheduler cluster server servers model models memory ram cpu gpu raspberry termux adb usb "
               "hotspot router firewall latency bandwidth prompt context inference ollama exo petals distributed tls "
               "certificate cache offline demo key library windows macos linux docker").split()

WORDS = load_lists("unknown/words.txt")  # by slot
_NEAR_SHOAL = set(SHOAL_WORDS).union(
    "computer tablet laptop radio camera robot television child charger llama fish box bell letter".split())
_ASKED_KINDS = ("animal", "bird", "fish", "bug", "person", "thing", "plant", "place", "creature")
# What stories are about can be asked about as well: the form of the question decides, not the topic.
NOUNS = WORDS["noun"]
NOUNS += [subject.noun for subject in SUBJECTS
          if subject.kind in _ASKED_KINDS and subject.article == "a" and subject.noun not in NOUNS
          and not set(subject.noun.split()) & _NEAR_SHOAL]
PREFIXES = ("", "", "", "", "", "", "Please tell me: ", "Quick question: ", "Tell me, ", "Hey, ", "Hi, ",
            "I wonder, ", "So, ", "Now, ", "Can you tell me: ", "One question: ", "My teacher asks: ",
            "For my homework: ")

# An area is chosen first, so that none drowns in the others. The weather here is talk.py's, that of a place that is named
# is not known.
FORMS = load_lists("unknown/forms.txt")


def with_article(noun):
    return f"{a_or_an(noun)} {noun}"


def plural(noun):
    return {"tooth": "teeth", "matrix": "matrices"}.get(noun) or plural_of_subject(noun)


def _word(rng, slot):
    """A word for a slot; the same slot twice in a form gives two draws."""
    if slot in ("n", "m"):
        return str(rng.choice((rng.randrange(2, 13), rng.randrange(2, 100), rng.randrange(10, 1000))))
    if slot == "year":
        return str(rng.randrange(1000, 2030))
    if slot == "stranger":
        return f"{rng.choice(WORDS['first_name'])} {rng.choice(WORDS['surname'])}"
    if slot in ("anoun", "agenre"):
        return with_article(rng.choice(WORDS[slot[1:]]))
    if slot == "thenoun":
        return "the " + rng.choice(NOUNS)
    if slot == "nouns":
        return plural(rng.choice(NOUNS))
    return rng.choice(WORDS[slot])


def _fill(rng, form):
    """Fills {slots}, also those inside of the words put in; a slot with a capital begins with one. Two draws differ."""
    used = set()

    def draw(match):
        slot = match.group(1)
        word = _word(rng, slot.lower())
        for _ in range(20):
            if word not in used:
                break
            word = _word(rng, slot.lower())
        used.add(word)
        return word[0].upper() + word[1:] if slot[0].isupper() else word

    while "{" in form:
        form = re.sub(r"\{(\w+)\}", draw, form)
    return form


def vary(rng, text):
    """The same question as people type it: after a few words, in lower case, without the question mark."""
    if rng.random() < 0.3:
        prefix = rng.choice(PREFIXES)
        if re.match(r"(What|Who|When|Where|Why|How|Which|Is|Are|Do|Does|Did|In what|In which) ", text):
            text = prefix + text[0].lower() + text[1:]
    if rng.random() < 0.1 and text.startswith("What is "):
        text = "What's " + text[8:]
    if rng.random() < 0.25:
        text = text[0].lower() + text[1:]
    elif rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.3 and text.rstrip(".?!"):
        text = text.rstrip(".?! ")
    return text


def question(rng):
    """One question that the demo model cannot answer."""
    return vary(rng, _fill(rng, rng.choice(FORMS[rng.choice(list(FORMS))])))


def answer(rng):
    return rng.choices(ANSWERS, ANSWER_WEIGHTS)[0]


def unknown(rng):
    """[(role, text), ...]: a question that is too much for the model and what it says; at times more of the same."""
    asked = question(rng)
    if rng.random() < 0.06:
        words = asked.split()
        long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
        if long:
            at = rng.choice(long)
            asked = " ".join(words[:at] + [slip(rng, words[at])] + words[at + 1:])
    turns = [("user", asked), ("assistant", answer(rng))]
    more = rng.random()
    if more < 0.08:
        turns += [("user", rng.choice(WHY_ASKS)), ("assistant", WHY_ANSWER)]
    elif more < 0.2:
        turns += [("user", question(rng)), ("assistant", answer(rng))]
    return turns


def is_about_shoal(text):
    """Whether a question uses a word of Shoal's field, and so does not belong in here."""
    return bool(set(re.findall(r"[a-z0-9-]+", text.lower())) & set(SHOAL_WORDS))


if __name__ == "__main__":
    print_conversations(__doc__, unknown)
