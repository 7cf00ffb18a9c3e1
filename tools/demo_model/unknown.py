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
from unknown_words import (ACTS, CITIES, CONCEPTS, COUNTED, COUNTRIES, DISHES, EVENTS, FIRST_NAMES, GENRES, HOWTOS,
                           ILLNESSES, ILLS, INVENTIONS, LANGUAGES, LAWS, LETTERS, MACHINES, METALS, NOUNS, PEOPLE,
                           PHRASES, POEM_TOPICS, PRODUCTS, SCHOOL, SHOPS, SKILLS, SOFTWARE, SPOKEN, SQL_ASKS,
                           SUPERLATIVES, SURNAMES, TASKS, TEAMS, TRIPS, WHYS, WORDS, WORKS)

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

_NEAR_SHOAL = set(SHOAL_WORDS).union(
    "computer tablet laptop radio camera robot television child charger llama fish box bell letter".split())
_ASKED_KINDS = ("animal", "bird", "fish", "bug", "person", "thing", "plant", "place", "creature")
# What stories are about can be asked about as well: the form of the question decides, not the topic.
NOUNS = NOUNS + [subject.noun for subject in SUBJECTS
                 if subject.kind in _ASKED_KINDS and subject.article == "a" and subject.noun not in NOUNS
                 and not set(subject.noun.split()) & _NEAR_SHOAL]
PREFIXES = ("", "", "", "", "", "", "Please tell me: ", "Quick question: ", "Tell me, ", "Hey, ", "Hi, ",
            "I wonder, ", "So, ", "Now, ", "Can you tell me: ", "One question: ", "My teacher asks: ",
            "For my homework: ")

WORD_LISTS = {"country": COUNTRIES, "city": CITIES, "person": PEOPLE, "event": EVENTS, "concept": CONCEPTS,
              "noun": NOUNS, "counted": COUNTED, "task": TASKS, "language": LANGUAGES, "spoken": SPOKEN,
              "phrase": PHRASES, "ill": ILLS, "law": LAWS, "dish": DISHES, "howto": HOWTOS, "won": TEAMS,
              "software": SOFTWARE, "most": SUPERLATIVES, "work": WORKS, "genre": GENRES, "topic": POEM_TOPICS,
              "product": PRODUCTS, "why": WHYS, "word": WORDS, "invention": INVENTIONS, "machine": MACHINES,
              "letter": LETTERS, "sql": SQL_ASKS, "school": SCHOOL, "shop": SHOPS, "trip": TRIPS,}

# Forms by area; an area is chosen first, so that none drowns in the others. The weather here is talk.py's, that of a
# place that is named is not known.
FORMS = {
    "geography": ["What is the capital of {country}?", "Capital of {country}?",
                  "Which city is the capital of {country}?", "capital {country}", "Where is {country}?",
                  "Where is {city}?", "In which country is {city}?", "What language do they speak in {country}?",
                  "How far is it from {city} to {city}?", "What is the currency of {country}?",
                  "Tell me about {country}.", "Tell me about {city}.", "What can I see in {city}?",
                  "Who is the president of {country}?", "Who rules {country}?", "What is the flag of {country}?",
                  "Is {country} larger than {country}?", "What is the population of {country}?",
                  "What is the population of {city}?", "Which countries border {country}?",
                  "Where should I stay in {city}?", "Is {city} worth a visit?", "What do people eat in {country}?",
                  "How big is {country}?", "What is {country} famous for?", "What is the largest city in {country}?",
                  "Name three cities in {country}.", "What ocean is next to {country}?",
                  "Which continent is {country} on?", "Is {country} an island?", "Does it get cold in {country}?",
                  "What rivers flow through {city}?", "Show me {city} on a map.", "Draw a map of {country}.",
                  "Name all neighbors of {country}.", "What time zone is {city} in?", "What time is it in {city}?",
                  "Is {city} north of {city}?", "How many hours to fly from {city} to {city}?",
                  "I have a test about {country}, help me.", "What mountains are there in {country}?",
                  "What do you know about {country}?", "What do you know about {city}?", "Who lives in {country}?",
                  "What money do they use in {country}?", "Give me five facts about {country}.",
                  "What animals live in {country}?", "Which is bigger, {city} or {city}?"],
    "software": ["How do I install {software}?", "How do I use {software}?", "What is {software}?",
                 "Is {software} free?", "How much does {software} cost?", "Why does {software} crash?",
                 "{software} does not start.", "How do I remove {software}?",
                 "Which is better, {software} or {software}?", "What can {software} do?", "Who made {software}?",
                 "How do I update {software}?", "Do I need {software}?", "{software}?", "{software}",
                 "Help me with {software}.", "Explain {software}.", "I have a problem with {software}.",
                 "How do I print in {software}?", "How do I save a file in {software}?",
                 "Is {software} better than {software}?", "Can you help me with {software}?"],
    "strangers": ["Who is {stranger}?", "Do you know {stranger}?", "Tell me about {stranger}.",
                  "What does {stranger} do?", "Where does {stranger} live?", "How old is {stranger}?",
                  "When was {stranger} born?", "What is the address of {stranger}?", "Is {stranger} famous?",
                  "Who was {stranger}?", "Write a letter to {stranger}.", "What do you know about {stranger}?",
                  "Has {stranger} written a book?"],
    "abilities": ["Can you do {skill}?", "Are you good at {skill}?", "Can you help me with {skill}?",
                  "Do you know {skill}?", "I need help with {skill}.", "Help me with {skill}.",
                  "What about {skill}?", "Let's do some {skill}.", "Can you teach me {skill}?", "Can you {act}?",
                  "Please {act}.", "Could you {act} for me?", "Will you {act}?", "I want you to {act}."],
    "history": ["When was {event}?", "What was {event}?", "Why did {event} happen?", "Tell me about {event}.",
                "How long did {event} last?", "Explain {event}.", "When did {event} begin?",
                "What happened in {year}?", "What do you know about {event}?", "Who ruled {country} in {year}?",
                "What happened in {country} in {year}?", "Describe {event} in short.", "In what year was {event}?",
                "What came after {event}?", "What is the history of {country}?", "What is the history of {city}?",
                "Give me a summary of {event}.", "Who fought in {event}?", "Who won {event}?",
                "How many people died in {event}?", "Name the causes of {event}.",
                "Who was king of {country} in {year}?", "What did people eat in {year}?",
                "How did people live during {event}?", "Who was alive in {year}, {person} or {person}?",
                "Was {person} part of {event}?", "Why was {event} important?", "year of {event}"],
    "people": ["Who was {person}?", "Who is {person}?", "Tell me about {person}.", "When was {person} born?",
               "Where was {person} born?", "When did {person} die?", "What did {person} do?",
               "Why is {person} famous?", "How old is {person}?", "What is {person} known for?",
               "Was {person} married?", "Did {person} know {person}?", "Write a biography of {person}.",
               "What do you think about {person}?", "Where did {person} live?", "Do you know {person}?",
               "Quote {person}.", "Who was the father of {person}?", "How tall was {person}?",
               "Is {person} still living?", "Who was the wife of {person}?", "How did {person} die?",
               "What was {person} like?", "What was the first name of {person}?", "Where is {person} buried?",
               "Who was greater, {person} or {person}?", "{Person}?", "What books did {person} write?",
               "How rich was {person}?", "Who was the teacher of {person}?", "Was {person} from {country}?"],
    "definitions": ["What is {concept}?", "What's {concept}?", "Explain {concept}.", "Explain {concept} to me.",
                    "How does {concept} work?", "Tell me about {concept}.", "What do you know about {concept}?",
                    "Define {concept}.", "What does {concept} mean?", "Is {concept} good?",
                    "Is {concept} dangerous?", "Who invented {concept}?", "Give me an example of {concept}.",
                    "Do you know what {concept} is?", "What are the rules of {concept}?", "Teach me {concept}.",
                    "Can you explain {concept}?", "Describe {concept}.", "I need help with {concept}.",
                    "Why is {concept} important?", "What is the difference between {concept} and {concept}?",
                    "Which is better, {concept} or {concept}?", "{Concept}?", "{concept}", "{Concept}",
                    "What is {anoun}?", "What exactly is {anoun}?", "Explain what {anoun} is.", "Define {anoun}.",
                    "How does {anoun} work?", "Who invented {thenoun}?", "What do you know about {nouns}?",
                    "Tell me about {nouns}.", "Are {nouns} dangerous?",
                    "What is the difference between {anoun} and {anoun}?", "{Noun}?", "{noun}",
                    "How do I find {anoun}?", "Where do {nouns} come from?", "What are {nouns} made of?",
                    "Why do we have {nouns}?", "How big is {anoun}?"],
    "counting": ["How many {counted}?", "How many {counted}?", "Do you know how many {counted}?",
                 "Tell me how many {counted}."],
    "mathematics": ["What is {n} times {m}?", "What is {n} plus {m}?", "What is {n} minus {m}?",
                    "What is {n} divided by {m}?", "{n} + {m}", "{n} * {m} = ?", "{n} - {m}?", "{n} x {m}",
                    "How much is {n} plus {m}?", "How much is {n} times {m}?", "Calculate {n} times {m}.",
                    "Add {n} and {m}.", "Multiply {n} by {m}.", "What is the square root of {n}?",
                    "What is {n} percent of {m}?", "Is {n} a prime number?", "Compute {n} / {m}.",
                    "Solve x + {n} = {m}.", "What is {n} squared?", "What is the sum of {n} and {m}?",
                    "Solve {n}x = {m}.", "Is {n} larger than {m}?", "Divide {n} by {m}.",
                    "Convert {n} miles to kilometers.", "What is {n} degrees Celsius in Fahrenheit?",
                    "What's {n}+{m}?", "{n}+{m}=", "{n} plus {m}", "{n} times {m}", "{n} plus {m} is what?",
                    "what's {n} divided by {m}", "{n} minus {m} equals?", "({n} + {m}) * {n}",
                    "x + {n} = {m}, what is x?", "Solve the equation {n}x + {m} = 0.", "Solve x^2 = {n}.",
                    "What is x if {n} - x = {m}?", "I have {n} apples and eat {m}. How many are left?",
                    "A train drives {n} miles in {m} hours. How fast is it?",
                    "{n} people share {m} cakes. How much does each get?", "What is the average of {n} and {m}?",
                    "Round {n}.{m} to one digit.", "What is {n} in binary?", "What is {n} to the power of {m}?",
                    "What is the derivative of x^{n}?", "What is half of {n}?", "Double {n}.", "Is {n} even or odd?",
                    "What are the factors of {n}?", "What comes after {n}, {m}?",
                    "What is the area of a circle with radius {n}?", "Convert {n} euros to dollars.",
                    "How many feet are {n} meters?", "How much is {n} percent of {m} dollars?",
                    "Can you add {n} and {m}?", "Count from {n} to {m}."],
    "coding": ["Write a {language} program that {task}.", "Write a python program that {task}.",
               "Write code that {task}.", "Write a function in {language} that {task}.",
               "Can you write a {language} script that {task}?", "Give me {language} code that {task}.",
               "I need a {language} program that {task}.", "How do I write a loop in {language}?",
               "Which is better, {language} or {language}?", "Teach me {language}.", "How do I learn {language}?",
               "What is a class in {language}?", "Show me an example in {language}.",
               "Code a program in {language} that {task}.", "Fix my {language} code.",
               "Explain recursion in {language}.", "Can you code in {language}?",
               "Write a class in {language} that {task}.", "How do I sort a list in {language}?",
               "What is a variable in {language}?", "Convert this from {language} to {language}.",
               "Why does my {language} program not compile?", "Debug my {language} script.",
               "Write a unit test in {language}.", "What does a semicolon do in {language}?",
               "How do I read a file in {language}?", "{language} or {language} for beginners?",
               "Write a regular expression that finds dates.", "Write HTML for a page about {topic}.",
               "Build me a website about {topic}.", "{language} code that {task}, please",
               "What is the newest version of {language}?"],
    "translation": ["Translate {phrase} to {spoken}.", "Translate '{phrase}' into {spoken}.",
                    "How do you say {phrase} in {spoken}?", "What is '{phrase}' in {spoken}?",
                    "What does {phrase} mean in {spoken}?", "Say {phrase} in {spoken}.",
                    "Can you translate {phrase} into {spoken}?", "{phrase} in {spoken}?",
                    "Please translate this to {spoken}: {phrase}", "Teach me some {spoken}.",
                    "What is the {spoken} word for {phrase}?", "How is {phrase} written in {spoken}?",
                    "Is {spoken} hard to learn?", "Translate to {spoken}: {phrase}",
                    "'{phrase}', how does that sound in {spoken}?", "Put '{phrase}' into {spoken} for me.",
                    "{spoken} for '{phrase}'?", "Translate this sentence: {phrase}.",
                    "How would one say {phrase} in {spoken}?", "Write '{phrase}' in {spoken} and in {spoken}.",
                    "I need '{phrase}' in {spoken}, quickly."],
    "health": ["{Ill}, what should I do?", "{Ill}. What helps?", "What can I do when {ill}?",
               "Should I see a doctor when {ill}?", "{Ill}, is that bad?", "Which medicine should I take? {Ill}.",
               "{Ill}. Can you help me?", "Is {concept} healthy?", "What helps when {ill}?", "{Ill}. Am I sick?",
               "How do I cure a cold?", "How much water should I drink?", "What are the symptoms of {illness}?",
               "How is {illness} treated?", "Can you catch {illness} twice?", "Do I have {illness}?",
               "What causes {illness}?", "Can I take aspirin when {ill}?", "Do I need surgery for {illness}?",
               "Is {illness} dangerous?", "Can children get {illness}?", "My mother has {illness}. What can I do?",
               "Is there a vaccine against {illness}?", "How long does {illness} last?", "{Ill} since Monday.",
               "Doctor, {ill}!", "Which doctor treats {illness}?", "What should I eat with {illness}?",
               "home remedy for {illness}"],
    "law": ["Is it legal to {law}?", "Am I allowed to {law} in {country}?", "May I {law}?",
            "Can I go to jail if I {law}?", "What is the fine if I {law}?", "Is it against the law to {law}?",
            "Do I need a lawyer to {law}?", "Is it illegal to {law} in {country}?",
            "Can my landlord forbid me to {law}?", "What does the law say if I {law}?", "Write a contract for me.",
            "Give me legal advice.", "Who pays if I {law}?", "Can I be sued if I {law}?",
            "Can the police stop me if I {law}?", "In which countries can you {law}?",
            "My neighbor wants to {law}. Can he?", "Since when is it forbidden to {law}?",
            "How old must I be to {law}?"],
    "news": ["What happened today in {country}?", "What is in the news?", "What is the news from {city}?",
             "Any news today?", "Tell me the latest news.", "What happened in {city} yesterday?",
             "News about {country}?", "Is there a war in {country}?", "Who is the prime minister of {country}?",
             "What is the price of gold today?", "How are the stocks today?", "What did {person} say yesterday?",
             "Headlines from {country}, please.", "What is going on in {city}?",
             "When is the next election in {country}?", "Who won the election in {country}?",
             "What is the weather news from {country}?", "Is {person} still alive?",
             "What did the newspapers write about {city}?", "What is the latest on {won}?",
             "Give me today's headlines.", "Did anything happen in {city}?", "How is the economy of {country}?",
             "What is trending today?", "What is the exchange rate of the dollar?"],
    "sport": ["Who won {won}?", "Who will win {won}?", "Who won {won} in {year}?", "What was the score of {won}?",
              "When is {won}?", "Who played in {won}?", "Tell me who won {won}.", "Which team won {won}?",
              "Did {country} win {won}?", "Where was {won}?", "Who lost {won}?", "Do you know who won {won}?",
              "What are the results of {won}?", "How do I get tickets for {won}?", "Who is the favorite in {won}?",
              "How did {country} do in {won}?", "On which channel is {won}?", "Explain the rules of {won}.",
              "Who won, {country} or {country}?", "Who is the trainer of {city}?"],
    "cooking": ["How do I make {dish}?", "How do I cook {dish}?", "Give me a recipe for {dish}.",
                "Recipe for {dish}?", "What do I need for {dish}?", "How long does it take to make {dish}?",
                "How do you prepare {dish}?", "What can I eat with {dish}?", "Tell me how to make {dish}.",
                "What should I cook today?", "Is {dish} healthy?", "How many calories are in {dish}?",
                "Who invented {dish}?", "I want to make {dish}, how?", "What goes into {dish}?",
                "How long do I bake {dish}?", "What can I use in place of eggs in {dish}?",
                "What wine goes with {dish}?", "Can I freeze {dish}?",
                "My {spoken} guests are coming, what should I cook?", "ingredients for {dish}",
                "At what temperature do I cook {dish}?", "Is {dish} from {country}?", "Give me some {spoken} recipe."],
    "how to": ["How do I {howto}?", "How can I {howto}?", "How to {howto}?", "Teach me how to {howto}.",
               "Tell me how to {howto}.", "What is the best way to {howto}?", "I want to {howto}.",
               "Can you help me to {howto}?", "How long does it take to {howto}?", "Is it hard to {howto}?",
               "how to {howto}", "Explain how to {howto}.", "Give me tips on how to {howto}.", "Should I {howto}?",
               "What do I need to {howto}?"],
    "superlatives": ["What is the {most} in the world?", "What is the {most}?", "Which is the {most}?",
                     "Tell me the {most} in the world.", "{Most}?", "What is the {most} in {country}?",
                     "Do you know the {most}?", "Where is the {most}?", "Name the {most}."],
    "arts": ["Who wrote {work}?", "Who made {work}?", "What is {work} about?", "When was {work} made?",
             "Have you read {work}?", "Summarize {work}.", "Who is the hero of {work}?", "How does {work} end?",
             "Is {work} good?", "Tell me about {work}.", "Recommend a book like {work}.",
             "What do you think of {work}?", "Quote a line from {work}.", "Recommend a good movie.",
             "Recommend a good book."],
    "writing": ["Write {agenre} about {topic}.", "Write me {agenre} about {topic}.",
                "Can you write {agenre} about {topic}?", "I need {agenre} about {topic}.",
                "Compose {agenre} about {topic}.", "{Agenre} about {topic}, please.",
                "Please write {agenre} on {topic}.", "Correct my {genre}.", "Help me with my {genre} about {topic}.",
                "Write an email to my boss.", "Write a letter to {person}.", "Check my spelling.",
                "Write {agenre} in {spoken}.", "Summarize this text for me.", "Find a rhyme for {noun}."],
    "shopping": ["How much is {product}?", "How much does {product} cost?", "Where can I buy {product}?",
                 "What is the price of {product}?", "Is {product} expensive?", "Should I buy {product}?",
                 "Which is the best place to buy {product}?", "Order {product} for me.", "Book {product} for me.",
                 "Find me {product}.", "I want to buy {product}.", "Compare prices for {product}.",
                 "Where is {product} cheapest?", "Can I rent {product}?", "Which brand of {product} is best?",
                 "How much should I pay for {product}?", "Is {product} a good gift?", "cheap {product}?"],
    "science": ["Why {why}?", "Why {why}?", "Tell me: why {why}?", "why {why}", "Why exactly {why}?",
                "And why {why}?", "How hot is the sun?", "How far away is the moon?", "How fast is light?",
                "How deep is the ocean?", "How old is the earth?", "What is the boiling point of water?",
                "What is the speed of sound?", "Is there life on Mars?", "How heavy is the earth?",
                "What is the formula of water?", "What is the chemical symbol of {metal}?", "How heavy is {metal}?",
                "At what temperature does {metal} melt?", "Explain to me why {why}.", "Do you know why {why}?",
                "Can you explain why {why}?", "How come, why {why}?", "Is {metal} magnetic?",
                "Where is {metal} found?", "What is {metal} used for?", "Which is heavier, {metal} or {metal}?",
                "Does {metal} rust?", "What would happen if there were no {nouns}?",
                "How many atoms are in a gram of {metal}?", "What is Newton's second law?",
                "How long does light need from the sun to the earth?", "What is the largest number?",
                "How are stars born?", "Do aliens exist?"],
    "opinions": ["What is the meaning of life?", "Is there a god?", "What should I wear today?",
                 "Whom should I vote for?", "What should I study?", "Should I quit my job?",
                 "Should I move to {city}?", "What is better, {country} or {country}?",
                 "Is {person} better than {person}?", "What gift should I buy for my wife?",
                 "Give me a name for my dog.", "Who is the best singer?", "What is love?", "Will I be rich?",
                 "What do women want?", "Does he love me?", "What will happen in {year}?",
                 "Tell me a fact about {concept}.", "Ask me a riddle.", "Give me a quiz about {concept}.",
                 "What is your opinion on {concept}?", "Do you believe in {concept}?",
                 "What are the lottery numbers?", "Let's talk about {concept}.", "I want to talk about {concept}.",
                 "What is new in {concept}?", "Tell me something about {concept}.",
                 "Do you know anything about {concept}?", "Can you help me with {concept}?"],
    "weather elsewhere": ["What is the weather in {city}?", "What is the weather like in {city}?",
                          "How is the weather in {city} today?", "Weather in {city}?", "weather {city}",
                          "Will it rain in {city} tomorrow?", "Is it raining in {city}?",
                          "Is it cold in {city} now?", "How warm is it in {city}?",
                          "What is the temperature in {city}?", "What is the forecast for {city}?",
                          "Does it snow in {country}?", "Is it sunny in {country} today?",
                          "What is the climate of {country}?", "When is the rainy season in {country}?",
                          "Tell me the weather in {city}.", "What will the weather be like in {city}?",
                          "Is there a storm near {city}?", "Do I need a coat in {city}?",
                          "What was the weather in {city} in {year}?"],
    "travel": ["How do I get to {city}?", "How do I get from {city} to {city}?", "Organize a trip to {country} {trip}.",
               "Can I go to {country} {trip}?", "Do I need a visa for {country}?", "When should I visit {country}?",
               "How long is the flight to {city}?", "Is it safe to travel to {country}?",
               "What is the best {shop} in {city}?", "Where is the nearest {shop}?", "Find me a {shop} in {city}.",
               "Is there a good {shop} in {city}?", "I want to travel to {city} {trip}, any tips?",
               "What should I pack for {country}?", "What does a trip to {city} cost?",
               "When does the next train to {city} leave?", "How is the traffic in {city}?",
               "I am lost in {city}, help me.", "Book a room in {city} for me.", "What can one do in {city} {trip}?"],
    "words": ["What does the word {word} mean?", "What does {word} mean?", "Define the word {word}.",
              "What is a synonym for {word}?", "What is the opposite of {word}?", "How do you spell {word}?",
              "Where does the word {word} come from?", "Use {word} in a sentence.", "How do you pronounce {word}?",
              "What rhymes with {word}?", "Is {word} a noun or a verb?", "Another word for {word}?",
              "What is the plural of {noun}?", "Give me a word that starts with the same letter as {word}.",
              "What does the saying '{phrase}' mean?", "Explain the word {word} to a child.", "meaning of {word}",
              "{word} meaning"],
    "inventions": ["Who invented {invention}?", "Who invented {invention}, and when?",
                   "When was {invention} invented?", "Where was {invention} invented?",
                   "Who was the first to make {invention}?", "Why was {invention} invented?",
                   "Tell me about the inventor of {invention}.", "What is the history of {invention}?",
                   "How was {invention} discovered?", "Was {invention} invented in {country}?",
                   "inventor of {invention}", "Did {person} invent {invention}?"],
    "how it works": ["How does {machine} work?", "Explain how {machine} works.", "how does {machine} work",
                     "What is inside {machine}?", "How is {machine} built?", "What do I do if {machine} breaks?",
                     "Can you explain how {machine} works?", "What makes {machine} work?",
                     "What are the parts of {machine}?", "How do engineers make {machine}?",
                     "Why does {machine} need energy?", "Draw me a sketch of {machine}.",
                     "I never understood how {machine} works."],
    "letters": ["Write a letter to {letter}.", "Write an email to {letter}.",
                "Write a letter to {letter} about {topic}.", "Help me write to {letter}.",
                "How do I begin a letter to {letter}?", "Write an apology to {letter}.",
                "Draft a complaint to {letter}.", "What should I say to {letter}?",
                "Compose a polite reply to {letter}.", "Write a postcard from {city} to {letter}.",
                "I need a short note for {letter}.", "Make this email to {letter} sound nicer.",
                "Write an invitation for {letter}."],
    "homework": ["Do my {school} homework.", "Help me with my {school} homework.",
                 "Tomorrow is my {school} test, help me study.",
                 "My {school} teacher wants an essay about {topic}.", "Make me one {school} quiz.",
                 "Explain {concept} for my {school} class.",
                 "What is the answer to question {n} in my {school} book?",
                 "Write a report about {event} for school.", "Give me notes on {event} for my {school} exam.",
                 "Check my {school} homework.", "I do not understand {school}, teach me.",
                 "Make flash cards about {concept}.", "Is this right: {n} times {m} makes {n}?",
                 "Write my presentation about {nouns}.", "How do I pass the {school} exam?"],
    "databases": ["Write a query in SQL for {sql}.", "Give me SQL for {sql}.", "How do I select {sql} in SQL?",
                  "SQL query: {sql}", "I need a database query that finds {sql}.",
                  "Show me a SELECT statement for {sql}.", "How do I join two tables in SQL?",
                  "How do I delete a row in MySQL?", "What does GROUP BY do in SQL?", "Write a query to get {sql}.",
                  "Write an Excel formula for {sql}.", "Make a table of {sql}."],
    "animals": ["What do {nouns} eat?", "How long do {nouns} live?", "How fast is {anoun}?", "Can {nouns} swim?",
                "Do {nouns} sleep?", "Are there {nouns} in {country}?", "What is a baby {noun} called?",
                "Is {anoun} an animal or a plant?", "How much does {anoun} weigh?", "Can I keep {anoun} at home?",
                "What color is {anoun}?", "Which is stronger, {anoun} or {anoun}?",
                "Give me three facts about {nouns}.", "What is the Latin name of {thenoun}?",
                "How many {nouns} are there in the world?", "I saw {anoun} in {city}. Is that normal?"],
    "texts": ["Summarize {work} in three sentences.", "Summarize {event} for me.", "Summarize the life of {person}.",
              "Give me a quote by {person}.", "Who said '{phrase}'?", "Rewrite this in simple English: {phrase}.",
              "Make this sentence longer: {phrase}.", "Is this sentence correct: {phrase}?",
              "Count the words in this: {phrase}", "Turn this into a question: {phrase}.",
              "Write a biography of {person} in ten lines.", "Write down the first chapter of {work}.",
              "Compare {work} with {work}.", "What is the moral of {work}?", "List all characters of {work}.",
              "Quote the first line of {work}.", "A famous quote about {topic}?", "Give me a slogan for {product}.",
              "What would {person} say about {topic}?", "Talk like {person}."],
}


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
    if slot == "illness":
        return rng.choice(ILLNESSES)
    if slot == "stranger":
        return f"{rng.choice(FIRST_NAMES)} {rng.choice(SURNAMES)}"
    if slot in ("skill", "act"):
        return rng.choice(SKILLS if slot == "skill" else ACTS)
    if slot == "metal":
        return rng.choice(METALS)
    if slot in ("anoun", "agenre"):
        return with_article(rng.choice(WORD_LISTS[slot[1:]]))
    if slot == "thenoun":
        return "the " + rng.choice(NOUNS)
    if slot == "nouns":
        return plural(rng.choice(NOUNS))
    return rng.choice(WORD_LISTS[slot])


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
