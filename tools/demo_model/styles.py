"""Writes a question as people type it: capitals or none, question marks or none, politeness, slips of the finger."""

import re

BEFORE = ["Hi, ", "Hi! ", "Hello, ", "Hello! ", "Hey, ", "Please, ", "So ", "So, ", "Ok, ", "Okay, ", "And ", "Well, ", "Now, ",
          "Quick question: ", "One question: ", "A question: ", "Question: ", "Excuse me, ", "Sorry, ", "I have a question: ",
          "One more thing: ", "Next question: ", "Hi there, ", "Good morning, ", "Tell me: ", "Please tell me, ", "Tell me, ",
          "Just curious: ", "I am new here. ", "I am new to this. ", "I read the README. ", "My friend asks: ", "Thanks. ",
          "Great. ", "Cool. ", "Ah, ", "Hmm, ", "Help! ", "But ", "Also, ", "Can you tell me: ", "I wonder: ", "Say, "]
AFTER = [" please", ", please", " thanks", ", thanks", " exactly", " in Shoal", " here", " actually", ", and why", " in short",
         ", do you know", ", can you tell me", " then", " again", " by the way", ", in simple words", " really", " now",
         ", if I may ask", " with Shoal", ", any idea", ", please explain"]
LITTLE = {"the", "a", "an", "is", "are", "do", "does", "to", "of", "in", "for", "my", "me", "please", "exactly", "can", "you", "i",
          "it", "that", "this", "there", "what", "so", "and"}
QUESTION = re.compile(r"(who|whom|what|whats|what's|which|when|where|why|how|is|are|am|do|does|did|can|could|will|would|may|should"
                      r"|has|have|must)\b", re.IGNORECASE)
KEYBOARD = ["qwertyuiop", "asdfghjkl", "zxcvbnm"]


def slip(rng, word):
    """A word with one letter swapped, missing, doubled or hit beside."""
    at = rng.randrange(1, len(word))
    kind = rng.randrange(4)
    if kind == 0 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]
    if kind == 1:
        return word[:at] + word[at + 1:]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    for row in KEYBOARD:
        place = row.find(word[at].lower())
        if place >= 0:
            return word[:at] + row[max(0, min(len(row) - 1, place + rng.choice((-1, 1))))] + word[at + 1:]
    return word


def damage(rng, words):
    """A word less, or a slip in a long word. What a word says by its digits stays."""
    if len(words) >= 4 and rng.random() < 0.12:
        little = [i for i, word in enumerate(words) if word.lower() in LITTLE]
        if little:
            del words[rng.choice(little)]
    if len(words) >= 7 and rng.random() < 0.06:
        del words[rng.randrange(len(words))]
    if rng.random() < 0.12:
        long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
        if long:
            i = rng.choice(long)
            words[i] = slip(rng, words[i])
    return words


def style(rng, question):
    """One way to type a question that is written in lower case without a mark at its end."""
    words = damage(rng, question.split())
    text = " ".join(words)
    asks = bool(QUESTION.match(text))
    bare = rng.random() < 0.25  # as in a search field
    if not bare:
        if rng.random() < 0.12:
            before = rng.choice(BEFORE)
            text = before + (text if before[-2] in ",:" or rng.random() < 0.5 else text[0].upper() + text[1:])
        if rng.random() < 0.1 and text[-1].isalnum():
            text += rng.choice(AFTER)
        if rng.random() < 0.85:
            text = re.sub(r"\bshoal\b(?! (?:serve|join|status|chat|run|token|model|discover))", "Shoal", text)
            text = re.sub(r"\bi\b", "I", text)
        text = text[0].upper() + text[1:]
        if text[-1].isalnum() or text[-1] in "'\"":
            text += ("?" if rng.random() < 0.95 else "??") if asks and rng.random() < 0.9 else rng.choice(("?", ".", ".", ""))
        if rng.random() < 0.08:
            text = text.lower()
    else:
        if rng.random() < 0.35:
            text += "?" if asks else rng.choice("?.")
        if rng.random() < 0.03:
            text = text.upper()
    return text
