#!/usr/bin/env python3
"""Small talk for Shoal's demo model: greetings, thanks, who it is, jokes, names it is told, and what it cannot know.

An intent (smalltalk/*.txt) has ways to say a thing and one or two answers. Some exchanges need what was said before ('my
name is Anna', later 'what is my name?'); those are told in MEMORIES and in jokes.

    python3 tools/demo_model/talk.py --sample 5
"""

import re

from samples import print_conversations
from styles import slip
from texts import load_asks, load_intents

INTENTS = load_intents()

NAMES = ("Anna Ben Clara David Emma Felix Greta Henry Ines Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tom Vera Will "
         "Zoe Adam Bella Carlos Diana Erik Fatima George Hanna Ivan Julia Kenji Laura Marco Nina Omar Peter Ravi Sara "
         "Theo Ursula Victor Wendy Yuki Ali Amir Amina Andrea Anton Aisha Boris Bruno Camila Chen Daniel Elena Emil "
         "Eva Farid Fiona Frank Gabriel Hugo Hiro Isabel Jakob James Jana Jin John Jonas Jorge Karim Karl Lena Li "
         "Lily Linda Lucas Luis Lukas Maria Martin Max Maya Mei Michael Mohamed Nadia Nora Oliver Oscar Patrick Petra "
         "Pia Priya Robert Ruth Sofia Simon Stefan Susan Tara Thomas Tim Tina Vikram Walter Yusuf Zara Kim Alex Robin "
         "Chris Charlie Jamie Sasha Nick Emily Grace Ella Ruby Liam Ethan Logan Mason Owen Jacob Dylan Hazel Chloe "
         "Alice Rita Marta Pedro Pablo Diego Juan Ana Lucia Kofi Kwame Ama Chidi Ngozi Tariq Leila Samir Layla Hassan "
         "Arjun Anil Deepa Sunita Tomas Milan Ivana Mila Igor Sergei Natasha Dmitri Oksana Freya Lars Ingrid Sven "
         "Astrid Matteo Giulia Luca Pierre Claire Louis Sophie Amelie Hans Klaus Heidi Bob Joe Bill Jim Steve Mary "
         "Jane Betty Dora Abby").split()
COLORS = "red blue green yellow orange purple pink black white gray brown gold silver turquoise violet".split()
ANIMALS = ("dog cat horse fox bear rabbit tiger lion elephant dolphin whale owl eagle penguin panda koala giraffe "
           "zebra frog turtle hamster parrot wolf deer monkey hedgehog squirrel snake shark octopus").split()
CITIES = ("Berlin Paris London Rome Madrid Vienna Prague Warsaw Lisbon Dublin Oslo Helsinki Athens Cairo Nairobi "
          "Lagos Delhi Mumbai Tokyo Osaka Seoul Beijing Shanghai Sydney Melbourne Toronto Chicago Boston Denver "
          "Seattle Dallas Lima Bogota Santiago Istanbul Munich Hamburg Zurich Geneva Milan Naples Porto Krakow "
          "Budapest Sofia Riga").split()
FOODS = [food.replace("_", " ") for food in
         ("pizza pasta soup bread cheese rice chocolate salad sushi curry cake ice_cream fish lasagna yogurt honey "
          "fruit corn pudding apple_pie tomato_soup fried_rice").split()]

# intent: (ways to say it, answers)
JOKES = [
    "Why did the old phone join the shoal? It was tired of being alone in a drawer.",
    "What do you call a phone that can swim? A cell fish.",
    "Why did the fish answer the phone so fast? It was already waiting on the line.",
    "Why do phones never get lost in a shoal? They all swim in the same channel.",
    "What did the battery say to the phone? You drain me, but I still have a spark for you.",
]
JOKE_ASKS = ["Tell me a joke.", "Tell me a joke", "Do you know a joke?", "Do you know any jokes?", "Make me laugh.",
             "Say something funny.", "Can you tell me a joke?", "A joke, please.", "Joke", "joke please",
             "I want to hear a joke.", "Tell a joke", "Give me a joke.", "Please tell me a joke.",
             "Could you tell me a joke?", "Can you tell jokes?", "Tell me something funny.",
             "Have you got a joke for me?", "Let me hear a joke.", "Are you funny?", "I need a joke.",
             "Can you make a joke?", "How about a joke?", "Cheer me up.", "Tell me a joke about phones.",
             "Tell me a joke about fish.", "Do you know something funny?",]
JOKE_AGAIN = ["Another one", "Another joke", "Tell me another joke.", "Another one, please.", "One more",
              "One more joke", "One more, please.", "Again", "More jokes", "Do you know another one?",
              "Do you know another joke?", "Tell me one more.", "Another joke, please.", "Tell me a different joke.",
              "More!",]
REPEATS = ["Repeat that, please.", "Please repeat.", "Can you repeat that?", "Could you repeat that, please?",
           "Repeat", "Say that again.", "Say that again, please.", "Can you say that again?", "What did you say?",
           "What did you just say?", "Once more, please.", "Please say it again.", "Repeat your answer.",
           "Repeat your last answer, please.", "Pardon?", "Sorry, can you repeat it?", "Tell me again.",
           "I did not hear that, say it again.",]
NAME_ASKED = ["What is my name?", "What's my name?", "Do you know my name?", "Do you remember my name?", "Who am I?",
              "Can you tell me my name?", "Tell me my name.", "Say my name.", "How am I called?",
              "Which name did I tell you?", "What did I say my name was?", "What is my name again?",
              "Do you know who I am?", "And what is my name?", "My name?", "Please say my name.",
              "Do you still know my name?", "Have you forgotten my name?",]
# what the user tells: (words, told, answers to it, asked later, answer)
NAME_GIVEN = load_asks("smalltalk/names.txt")
MEMORIES = [(NAMES, NAME_GIVEN, ["Nice to meet you, {x}!", "Hello {x}! How can I help you?"], NAME_ASKED,
             "Your name is {x}."),
            (COLORS,
             ["My favorite color is {x}.", "I like the color {x}.", "I love {x}, it is my favorite color.",
              "The color I like best is {x}.", "I like {x} best of all colors.", "My favourite colour is {x}.",
              "The best color is {x}.", "{x} is my favorite color.", "Of all colors, I like {x} most.",
              "For me {x} is the nicest color.", "I think {x} is the best color.", "My color is {x}.",
              "Remember that my favorite color is {x}.", "I paint everything {x}, my favorite color.",
              "My best color is {x}."],
             ["{X} is a nice color."],
             ["What is my favorite color?", "Which color do I like?", "What color do I like best?",
              "Do you know my favorite color?", "Do you remember my favorite color?", "What's my favorite color?",
              "Tell me my favorite color.", "Which color is my favorite?", "What is my favourite colour?",
              "What color did I say I like?", "Which color do I like best?", "And my favorite color?",
              "What is the color I like?", "Say my favorite color.", "Can you name my favorite color?"],
             "Your favorite color is {x}."),
            (ANIMALS,
             ["My favorite animal is the {x}.", "I like no animal more than the {x}.",
              "The animal I like best is the {x}.", "Of all animals I like the {x} most.",
              "I love animals, and the {x} is my favorite.", "I like the {x} best of all animals.",
              "The best animal is the {x}.", "The {x} is my favorite animal.", "For me the {x} is the nicest animal.",
              "I think the {x} is the best animal.", "Remember that my favorite animal is the {x}.",
              "My favourite animal is the {x}.", "If I were an animal, I would be the {x}, my favorite.",
              "No animal is as nice as the {x}, my favorite.", "The {x} is the animal I like most."],
             ["The {x} is a fine animal."],
             ["What is my favorite animal?", "Which animal do I like?", "What animal do I like best?",
              "Do you know my favorite animal?", "Do you remember my favorite animal?", "What's my favorite animal?",
              "Tell me my favorite animal.", "Which animal is my favorite?", "What is my favourite animal?",
              "What animal did I say I like?", "Which animal do I like best?", "And my favorite animal?",
              "What is the animal I like?", "Say my favorite animal.", "Can you name my favorite animal?"],
             "Your favorite animal is the {x}."),
            (CITIES,
             ["I live in {x}.", "I am from {x}.", "I come from {x}.", "My home is in {x}.", "My city is {x}.",
              "I live in the city of {x}.", "I was born in {x} and still live there.", "Right now I live in {x}.",
              "My house is in {x}.", "I am in {x}.", "I moved to {x}.", "We live in {x}.",
              "My family and I live in {x}.", "Greetings from {x}, where I live.", "Hello from {x}!",
              "I live near the center of {x}."],
             ["{x} must be a nice place to live."],
             ["Where do I live?", "Where am I from?", "Do you know where I live?", "Which city do I live in?",
              "In which city do I live?", "Do you remember where I live?", "Where is my home?", "What is my city?",
              "Tell me where I live.", "What city am I from?", "Where did I say I live?", "And where do I live?",
              "Can you say where I live?", "Where do I come from?", "Which city is my home?"],
             "You live in {x}."),
            (FOODS,
             ["My favorite food is {x}.", "I love to eat {x}.", "The food I like best is {x}.",
              "I like {x} more than any other food.", "Of all foods, I like {x} most.",
              "I could eat {x} every day, it is my favorite food.", "My favourite food is {x}.",
              "The best food is {x}.", "{x} is my favorite food.", "For me {x} is the best food.",
              "I think {x} is the best food.", "Remember that my favorite food is {x}.",
              "What I like to eat most is {x}.", "No food is better than {x}.", "I like to eat {x}."],
             ["That sounds tasty."],
             ["What is my favorite food?", "Which food do I like?", "What food do I like best?",
              "Do you know my favorite food?", "Do you remember my favorite food?", "What's my favorite food?",
              "Tell me my favorite food.", "Which food is my favorite?", "What is my favourite food?",
              "What food did I say I like?", "What do I like to eat?", "And my favorite food?",
              "What is the food I like?", "What do I like to eat best?", "Can you name my favorite food?"],
             "Your favorite food is {x}."),]
# asked for the name; for anything else
NOT_TOLD = ["You have not told me your name yet.", "You have not told me that yet."]

BEFORE = ("Hi, ", "Hello, ", "Hey, ", "So, ", "And ", "Tell me, ", "Please tell me, ", "Excuse me, ", "By the way, ",
          "Okay, ", "Hi! ", "Well, ", "Now, ")
AFTER = (", please", ", my friend", ", little model", " then", ", Shoal", " now")
ASKING = ("how_are_you name who can_do cannot_do human feelings likes age maker others smart learn language time "
          "weather where there size training better sing human_like").split()

_QUESTION = re.compile(r"(what|how|who|which|when|where|why|are|is|do|can|could|may|should|am|by|on|will|does)\b", re.I)

FIRST = ("hello", "hello", "hello", "morning", "evening", "how_are_you", "there")
LAST = ("thanks", "thanks", "thanks", "bye", "bye", "night", "praise", "ok")
LENGTHS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4)
MAX_WORDS = 25


def vary(rng, text):
    """The same words as people type them: in lower case, without the last full stop, short forms, a 'please'."""
    if rng.random() < 0.15:
        for long, short in (("What is", "What's"), ("I am", "I'm"), ("do not", "don't"), ("You are", "You're"),
                            ("cannot", "can't")):
            text = text.replace(long, short)
    if rng.random() < 0.35:
        text = text[0].lower() + text[1:]
    elif rng.random() < 0.12:
        text = text.lower()
    if rng.random() < 0.35 and text.rstrip(".?!"):
        text = text.rstrip(".?!")
    return text


def _say(rng, ways):
    words = vary(rng, rng.choice(ways)).split()
    long = [index for index, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if len(words) > 2 and long and rng.random() < 0.04:
        index = rng.choice(long)
        words[index] = slip(rng, words[index])
    return " ".join(words)


def _way(rng, name):
    """A way to say an intent: a fixed one or one of a pattern, a question perhaps with a greeting before it."""
    intent = INTENTS[name]
    if intent.patterns and rng.random() < 0.45:
        way = rng.choice(intent.patterns).sample(rng)
        way = re.sub(r"\bi\b", "I", way[0].upper() + way[1:])
        if name in ASKING:
            way += "?" if _QUESTION.match(way) else "."
    else:
        way = rng.choice(intent.asks)
    if name in ASKING and rng.random() < 0.15:
        way = rng.choice(BEFORE) + (way if re.match(r"I\b", way) else way[0].lower() + way[1:])
    elif name in ASKING and rng.random() < 0.08 and way[-1] in ".?!":
        way = way[:-1] + rng.choice(AFTER) + way[-1]
    return way


def _intent(rng, name):
    return [("user", _say(rng, [_way(rng, name)])), ("assistant", rng.choice(INTENTS[name].answers))]


def _jokes(rng):
    """A joke, and the next ones in the order of JOKES: after the last comes the first."""
    index = rng.randrange(2)
    turns = [("user", _say(rng, JOKE_ASKS)), ("assistant", JOKES[index])]
    while rng.random() < 0.4 and len(turns) < 8:
        index = (index + 1) % len(JOKES)
        turns += [("user", _say(rng, JOKE_AGAIN)), ("assistant", JOKES[index])]
    return turns


def _repeat(rng):
    """Something, and the same again."""
    turns = _intent(rng, rng.choice(list(INTENTS)))
    return turns + [("user", _say(rng, REPEATS)), ("assistant", turns[-1][1])]


def _fill(text, word):
    return text.replace("{x}", word).replace("{X}", word[0].upper() + word[1:])


def _told(rng, words, told, answers, asked, recalled):
    """What the user tells, perhaps something else, and the question for it. Told words keep their case."""
    word = rng.choice(words)
    way = _fill(rng.choice(told), word)
    way = way[0].upper() + way[1:]
    if rng.random() < 0.3 and not way.startswith(word):
        way = way[0].lower() + way[1:]
    if rng.random() < 0.06:
        way = way.lower()
    if rng.random() < 0.3:
        way = way.rstrip(".!")
    turns = [("user", way), ("assistant", _fill(rng.choice(answers), word))]
    if rng.random() < 0.75:
        if rng.random() < 0.4:
            turns += _intent(rng, rng.choice(list(INTENTS)))
        turns += [("user", _say(rng, asked)), ("assistant", _fill(recalled, word))]
    return turns


def told_words():
    """The words that a user tells and that are said back."""
    return {part for words, *_ in MEMORIES for word in words for part in word.split()}


def _not_told(rng):
    index = rng.randrange(len(MEMORIES))
    asked = MEMORIES[index][3]
    return [("user", _say(rng, asked)), ("assistant", NOT_TOLD[0 if index == 0 else 1])]


def conversation(rng):
    """[(role, text), ...]: one to four exchanges that begin with the user."""
    kind = rng.random()
    if kind < 0.16:
        return _told(rng, *MEMORIES[0])
    if kind < 0.28:
        return _told(rng, *rng.choice(MEMORIES[1:]))
    if kind < 0.32:
        return _not_told(rng)
    if kind < 0.38:
        return _repeat(rng)
    if kind < 0.46:
        return _jokes(rng)
    length, names = rng.choice(LENGTHS), list(INTENTS)
    turns = []
    for index in range(length):
        if index == 0 and length > 1 and rng.random() < 0.6:
            name = rng.choice(FIRST)
        elif index == length - 1 and length > 1 and rng.random() < 0.4:
            name = rng.choice(LAST)
        else:
            name = rng.choice(names)
        turns += _intent(rng, name)
    return turns


if __name__ == "__main__":
    print_conversations(__doc__, conversation)
