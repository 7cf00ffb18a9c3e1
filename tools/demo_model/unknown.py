#!/usr/bin/env python3
"""Questions that are beyond Shoal's demo model, and what it says to them: that it is small and only knows about Shoal.

Many forms of question times many topics, so that the model learns the border (Shoal, small talk and stories on one
side, all the rest of the world on the other) instead of a list. Nothing in here may be a question about Shoal: see
SHOAL_WORDS.

    python3 tools/demo_model/unknown.py --sample 5
"""

import argparse
import random
import re

from stories import SUBJECTS, a_or_an
from stories import plural as plural_of_subject
from styles import slip

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

COUNTRIES = ("France Spain Italy Germany Poland Norway Sweden Finland Denmark Iceland Ireland Portugal Greece Turkey "
             "Egypt Kenya Nigeria Ghana Morocco Ethiopia India China Japan Korea Vietnam Thailand Indonesia Australia "
             "Canada Mexico Brazil Argentina Chile Peru Colombia Cuba Russia Ukraine Hungary Austria Switzerland "
             "Belgium Romania Bulgaria Croatia Serbia Nepal Pakistan Iran Iraq Israel Mongolia Malaysia Singapore "
             "Bolivia Ecuador Uruguay Estonia Latvia Lithuania Slovakia Slovenia Albania Tunisia Algeria Libya Sudan "
             "Somalia Uganda Rwanda Zambia Senegal Mali Angola Jamaica Panama").split()
CITIES = ("Paris London Rome Berlin Madrid Tokyo Moscow Sydney Chicago Boston Vienna Prague Cairo Lagos Delhi "
          "Mumbai Beijing Shanghai Seoul Lima Toronto Dublin Athens Oslo Lisbon Istanbul Jakarta Bangkok Venice "
          "Barcelona").split()
PEOPLE = ("Einstein|Napoleon|Mozart|Beethoven|Shakespeare|Cleopatra|Julius Caesar|Isaac Newton|Marie Curie|Leonardo "
          "da Vinci|Picasso|Gandhi|Galileo|Darwin|Aristotle|Plato|Socrates|Columbus|Abraham Lincoln|George "
          "Washington|Queen Victoria|Nelson Mandela|Van Gogh|Bach|Chopin|Goethe|Tolstoy|Dickens|Mark Twain|Jane "
          "Austen|Ada Lovelace|Alan Turing|Tesla|Edison|Kepler|Archimedes|Michelangelo|Confucius|Buddha|Genghis "
          "Khan|Marco Polo|Magellan|Neil "
          "Armstrong|Kafka|Homer|Dante|Cervantes|Vivaldi|Rembrandt|Pasteur|Pele|Muhammad Ali|Elvis|Charlie "
          "Chaplin|Frida Kahlo|Joan of Arc|Karl Marx|Kant|Nietzsche|Freud|Messi|Ronaldo|Taylor Swift|Madonna|Michael "
          "Jackson|Barack Obama|Angela Merkel|Winston Churchill|Elon Musk|Bill Gates|Steve Jobs").split("|")
EVENTS = ("the first world war|the second world war|the French revolution|the cold war|the moon landing|the fall of "
          "Rome|the Middle Ages|the Renaissance|the industrial revolution|the Roman empire|the ice age|the American "
          "civil war|the stone age|the fall of the Berlin wall|the black death|the Olympic games|the battle of "
          "Waterloo|the discovery of America|the Ottoman empire|the Viking age|the great depression|the Titanic|the "
          "Trojan war|the Russian revolution|the building of the pyramids|the Ming dynasty").split("|")
# Things one can ask 'what is X' about. No articles: 'gravity', not 'the sun'.
CONCEPTS = ("gravity photosynthesis democracy inflation philosophy evolution electricity magnetism oxygen hydrogen "
            "carbon helium algebra geometry calculus trigonometry biology chemistry physics astronomy psychology "
            "sociology economics capitalism socialism communism religion buddhism islam christianity hinduism judaism "
            "poetry opera jazz ballet baroque impressionism grammar linguistics metaphor irony sarcasm DNA RNA "
            "bacteria cholesterol diabetes cancer influenza malaria asthma insulin vitamin_C protein sugar salt "
            "caffeine alcohol plastic steel bronze copper gold silver uranium plutonium radiation lightning thunder "
            "rain snow fog climate_change acid_rain global_warming quantum_mechanics relativity string_theory "
            "dark_matter antimatter entropy thermodynamics probability statistics infinity marketing accounting tax "
            "bankruptcy insurance mortgage bitcoin blockchain capital interest patent contract divorce inheritance "
            "asylum feudalism colonialism slavery feminism existentialism stoicism karma yoga meditation karate judo "
            "chess poker baseball cricket football rugby tennis golf hockey basketball volleyball swimming cycling "
            "skiing sourdough tofu sushi pasta espresso olive_oil vinegar yeast chocolate wine beer whiskey tea "
            "haskell html css sql excel photoshop powerpoint tiktok instagram facebook youtube twitter netflix "
            "spotify amazon google tesla minecraft fortnite tetris pokemon").replace("\n", " ").split()
CONCEPTS = [word.replace("_", " ") for word in CONCEPTS]
NOUNS = ("volcano planet comet galaxy rainbow tornado hurricane earthquake glacier desert dinosaur whale shark bee "
         "spider tiger elephant kangaroo penguin octopus virus atom molecule electron proton cell muscle bone heart "
         "lung kidney brain tooth vaccine antibiotic triangle circle prime_number fraction square_root logarithm "
         "matrix verb noun adjective sonnet novel symphony sculpture museum cathedral pyramid castle parliament "
         "president senator lawyer judge dentist surgeon engineer submarine helicopter steam_engine telescope "
         "microscope microwave piano violin guitar trumpet saxophone carburetor turbine nuclear_reactor black_hole "
         "supernova neutron_star hedge_fund stock bond pension passport visa loan recession republic monarchy "
         "constitution pope samurai knight gladiator pharaoh viking mummy haiku limerick fossil mammal reptile "
         "mushroom cactus orchid").replace("\n", " ").split()
NOUNS = [word.replace("_", " ") for word in NOUNS]
_NEAR_SHOAL = set(SHOAL_WORDS).union(
    "computer tablet laptop radio camera robot television child charger llama fish box bell letter".split())
_ASKED_KINDS = ("animal", "bird", "fish", "bug", "person", "thing", "plant", "place", "creature")
# What stories are about can be asked about as well: the form of the question decides, not the topic.
NOUNS += [subject.noun for subject in SUBJECTS
          if subject.kind in _ASKED_KINDS and subject.article == "a" and subject.noun not in NOUNS
          and not set(subject.noun.split()) & _NEAR_SHOAL]
SURNAMES = ("Smith Jones Miller Brown Taylor Wilson Garcia Lopez Martinez Rossi Ferrari Schmidt Weber Fischer Novak "
            "Kowalski Ivanov Petrov Nguyen Tanaka Suzuki Kim Park Lee Wang Zhang Chen Singh Patel Khan Hassan Okafor "
            "Mensah Silva Santos Costa Dubois Moreau Larsen Hansen Nilsson Virtanen Murphy Kelly O'Brien Campbell "
            "Stewart Cohen Levi Papadopoulos").split()
FIRST_NAMES = ("Anna Ben Clara David Emma Felix Greta Henry Ines Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tom Vera "
               "Adam Bella Carlos Diana Erik Fatima George Hanna Ivan Julia Kenji Laura Marco Nina Omar Peter Ravi "
               "Sara Theo Yuki").split()
SOFTWARE = ("Photoshop|Excel|Word|PowerPoint|Outlook|Firefox|Chrome|Blender|Gimp|Slack|Zoom|Skype|Steam|VLC|"
            "LibreOffice|Thunderbird|WordPress|AutoCAD|Postgres|MySQL|Nginx|React|Django|Git|GitHub|Eclipse|"
            "Audacity|Inkscape|Spotify|WhatsApp|Telegram|Discord|Dropbox|Notepad|Minecraft|Fortnite|Roblox|SAP|"
            "Salesforce|Figma|Jira|Moodle|Matlab|Unity|Unreal Engine|Safari|Opera|Paint|iTunes|Netflix").split("|")
COUNTED = ("legs does a spider have|bones does a human have|planets are there|people live in {country}|people live in "
           "{city}|states are there in America|days are in a year|hours are in a week|seconds are in a day|teeth does "
           "a shark have|hearts does an octopus have|countries are in Africa|countries are in Europe|islands belong "
           "to {country}|continents are there|oceans are there|strings does a violin have|keys does a piano "
           "have|players are in a football team|letters are in the alphabet|calories are in an apple|calories are in "
           "a pizza|grams are in a pound|miles are in a kilometer|feet are in a meter|liters are in a gallon|stars "
           "are in the sky|galaxies are there|languages are spoken in {country}|goals did {person} score|books did "
           "{person} write|children did {person} have|colors are in the rainbow|chromosomes do humans have|eyes does "
           "a bee have|sides does a hexagon have|moons does Jupiter have|cups are in a liter|eggs do I need for a "
           "cake|kings did {country} have|rivers are in {country}").split("|")
TASKS = ("sorts a list|adds two numbers|counts words|finds prime numbers|reads a file|prints the alphabet|reverses a "
         "string|plays tic-tac-toe|computes a factorial|draws a circle|sends an email|scrapes a website|converts "
         "miles to kilometers|checks a password|shows a calendar|guesses a number|solves a sudoku|removes duplicates "
         "from a list|merges two files|rolls a die|prints hello world|finds the largest number|computes the Fibonacci "
         "numbers|parses JSON|makes a bar chart|resizes a picture|downloads a page|counts vowels|encrypts a "
         "text|tests if a word is a palindrome").split("|")
LANGUAGES = ("Python Java JavaScript C C++ Rust Go Ruby Perl PHP Haskell Swift Kotlin bash SQL TypeScript Scala "
             "Lua").split()
SPOKEN = ("German French Spanish Italian Portuguese Polish Russian Chinese Japanese Korean Arabic Hindi Turkish Greek "
          "Latin Dutch Swedish Norwegian Danish Finnish Czech Hungarian Hebrew Swahili Vietnamese").split()
PHRASES = ("good morning|thank you|I love you|where is the station|happy birthday|good night|how much is it|see you "
           "tomorrow|the house|water|bread|friend|the weather is nice|my brother is tall|I am hungry|excuse me|good "
           "luck|cheers|the dog is big|I need a doctor|apple|sunshine|butterfly|one two three|left and "
           "right|welcome|peace|window|a glass of milk|to be or not to be").split("|")
ILLS = ("my head hurts|I have a fever|my back hurts|I have a cough|my knee is swollen|I cannot sleep|my tooth hurts|I "
        "have a rash|my stomach hurts|I feel dizzy|I burned my hand|my nose bleeds|my ear hurts|I sprained my ankle|I "
        "have a sore throat|my eyes are red|I ate something bad|my child has a fever|I am allergic to nuts|a bee "
        "stung me").split("|")
LAWS = ("park on the sidewalk|record a call|copy a book|drink beer in the park|drive without a license|keep a wolf as "
        "a pet|build a fence|cut down my tree|ride a bike without a helmet|download music|fire a worker|sue my "
        "neighbor|break a lease|film the police|own a sword|sleep in my car|sell homemade cake|carry a knife|marry my "
        "cousin|fly a kite near an airport").split("|")
DISHES = ("a pizza|an apple pie|pancakes|bread|a chocolate cake|lasagna|pea soup|a curry|fried rice|sushi|a salad|a "
          "roast chicken|jam|ice cream|cookies|an omelet|pasta|tomato soup|mashed potatoes|a "
          "burger|dumplings|goulash|paella|tacos|waffles").split("|")
HOWTOS = ("fix a flat tire|learn the piano|get rich|lose weight|grow tomatoes|train a dog|tie a tie|remove a wine "
          "stain|paint a wall|write a resume|buy a house|invest money|stop smoking|play chess|ride a horse|knit a "
          "scarf|build a table|repair a bicycle|change a light bulb|clean an oven|open a bank account|apply for a "
          "visa|book a flight|find a job|learn Spanish|make friends|get rid of ants|fold a paper plane|catch a "
          "trout|file my taxes|solve an equation|swim faster|cut my hair|plant a tree|sharpen a knife|jump "
          "higher|become a doctor|write a novel|unclog a sink|whistle loudly|draw a face|make a formula in Excel|crop "
          "a picture in Photoshop|center a div|use git rebase|exit vim|make a slide in PowerPoint|delete my Facebook "
          "account|upload a video to YouTube").split("|")
TEAMS = ("the world cup|the super bowl|the last Olympic games|the Champions League|Wimbledon|the Tour de France|the "
         "world series|the game last night|the chess championship|the last election|the Nobel prize|the Oscar for "
         "best movie|the marathon|the derby|the song contest|the race on Sunday|the ice hockey final|the Masters|the "
         "boxing match|the World Cup in 1990|the European championship").split("|")
SUPERLATIVES = ("highest mountain|longest river|largest ocean|smallest country|fastest animal|tallest building|oldest "
                "tree|deepest lake|largest desert|biggest city|richest man|heaviest metal|brightest star|hottest "
                "planet|largest island|longest bridge|oldest language|coldest place|largest whale|loudest animal|best "
                "movie|best book|most expensive painting|rarest animal|fastest car|tallest man|oldest university|most "
                "spoken language|smallest bird|most poisonous snake").split("|")
WORKS = ("Hamlet|Moby Dick|Faust|War and Peace|Don Quixote|the Odyssey|the Mona Lisa|Star Wars|Titanic|the "
         "Matrix|Harry Potter|the Lord of the Rings|Romeo and Juliet|the Magic "
         "Flute|Frankenstein|Dracula|Casablanca|the Bible|Alice in Wonderland|Robinson Crusoe|Pinocchio|the Lion "
         "King|Swan Lake|Guernica|the Starry Night|Pride and Prejudice|Treasure Island|the Little Prince|Sherlock "
         "Holmes|Macbeth").split("|")
GENRES = ("poem essay song letter speech report review summary love_letter cover_letter sonnet haiku rap "
          "article recipe").split()
GENRES = [genre.replace("_", " ") for genre in GENRES]
POEM_TOPICS = ("love|spring|my mother|the sea|war|freedom|my boss|autumn leaves|the city|coffee|time|the moon|my "
               "cat|friendship|a rose|a summer night|money|football|school|the rain|a broken heart|my "
               "grandmother|cheese|climate change|democracy|winter").split("|")
PRODUCTS = ("a bicycle|a car|a house|a cup of coffee|a ticket to {city}|gold|a guitar|a pizza|a loaf of bread|a hotel "
            "in {city}|a dog|a horse|a washing machine|a sofa|a flight to {country}|a Tesla|a haircut|milk|a train "
            "ride to {city}|a piano").split("|")
WHYS = ("is the sky blue|is grass green|do cats purr|do we dream|is the sea salty|do birds fly south|do leaves "
        "fall|does ice float|do people yawn|is snow white|do volcanoes erupt|do dogs bark|do stars shine|does iron "
        "rust|is blood red|do onions make us cry|do we have seasons|did the dinosaurs die|is the sun hot|do bees make "
        "honey|do zebras have stripes|is gold expensive|does bread rise|do we get old|is Venus so hot|did Rome "
        "fall|do wolves howl|does the moon change its shape|is glass clear|do magnets stick").split("|")
PREFIXES = ("", "", "", "", "", "", "Please tell me: ", "Quick question: ", "Tell me, ", "Hey, ", "Hi, ",
            "I wonder, ", "So, ", "Now, ", "Can you tell me: ", "One question: ", "My teacher asks: ",
            "For my homework: ")

WORD_LISTS = {"country": COUNTRIES, "city": CITIES, "person": PEOPLE, "event": EVENTS, "concept": CONCEPTS,
              "noun": NOUNS, "counted": COUNTED, "task": TASKS, "language": LANGUAGES, "spoken": SPOKEN,
              "phrase": PHRASES, "ill": ILLS, "law": LAWS, "dish": DISHES, "howto": HOWTOS, "won": TEAMS,
              "software": SOFTWARE, "most": SUPERLATIVES, "work": WORKS, "genre": GENRES, "topic": POEM_TOPICS,
              "product": PRODUCTS, "why": WHYS,}

# Forms by area; an area is chosen first, so that none drowns in the others.
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
                  "Name three cities in {country}."],
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
                  "Do you know {skill}?", "I need help with {skill}.", "Help me with {skill}.", "What about {skill}?",
                  "Let's do some {skill}.", "Can you teach me {skill}?", "Can you {act}?", "Please {act}.",
                  "Could you {act} for me?", "Will you {act}?", "I want you to {act}."],
    "history": ["When was {event}?", "What was {event}?", "Why did {event} happen?", "Tell me about {event}.",
                "How long did {event} last?", "Explain {event}.", "When did {event} begin?",
                "What happened in {year}?", "What do you know about {event}?", "Who ruled {country} in {year}?",
                "What happened in {country} in {year}?", "Describe {event} in short.", "In what year was {event}?",
                "What came after {event}?", "What is the history of {country}?", "What is the history of {city}?",
                "Give me a summary of {event}."],
    "people": ["Who was {person}?", "Who is {person}?", "Tell me about {person}.", "When was {person} born?",
               "Where was {person} born?", "When did {person} die?", "What did {person} do?",
               "Why is {person} famous?", "How old is {person}?", "What is {person} known for?",
               "Was {person} married?", "Did {person} know {person}?", "Write a biography of {person}.",
               "What do you think about {person}?", "Where did {person} live?", "Do you know {person}?",
               "Quote {person}.", "Who was the father of {person}?", "How tall was {person}?"],
    "definitions": ["What is {concept}?", "What's {concept}?", "Explain {concept}.", "Explain {concept} to me.",
                    "How does {concept} work?", "Tell me about {concept}.", "What do you know about {concept}?",
                    "Define {concept}.", "What does {concept} mean?", "Is {concept} good?", "Is {concept} dangerous?",
                    "Who invented {concept}?", "Give me an example of {concept}.", "Do you know what {concept} is?",
                    "What are the rules of {concept}?", "Teach me {concept}.", "Can you explain {concept}?",
                    "Describe {concept}.", "I need help with {concept}.", "Why is {concept} important?",
                    "What is the difference between {concept} and {concept}?",
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
                    "What's {n}+{m}?", "{n}+{m}="],
    "coding": ["Write a {language} program that {task}.", "Write a python program that {task}.",
               "Write code that {task}.", "Write a function in {language} that {task}.",
               "Can you write a {language} script that {task}?", "Give me {language} code that {task}.",
               "I need a {language} program that {task}.", "How do I write a loop in {language}?",
               "Which is better, {language} or {language}?", "Teach me {language}.", "How do I learn {language}?",
               "What is a class in {language}?", "Show me an example in {language}.",
               "Code a program in {language} that {task}.", "Fix my {language} code.",
               "Explain recursion in {language}.", "Can you code in {language}?",
               "Write a class in {language} that {task}.", "How do I sort a list in {language}?",
               "What is a variable in {language}?"],
    "translation": ["Translate {phrase} to {spoken}.", "Translate '{phrase}' into {spoken}.",
                    "How do you say {phrase} in {spoken}?", "What is '{phrase}' in {spoken}?",
                    "What does {phrase} mean in {spoken}?", "Say {phrase} in {spoken}.",
                    "Can you translate {phrase} into {spoken}?", "{phrase} in {spoken}?",
                    "Please translate this to {spoken}: {phrase}", "Teach me some {spoken}.",
                    "What is the {spoken} word for {phrase}?", "How is {phrase} written in {spoken}?",
                    "Is {spoken} hard to learn?", "Translate to {spoken}: {phrase}"],
    "health": ["{Ill}, what should I do?", "{Ill}. What helps?", "What can I do when {ill}?",
               "Should I see a doctor when {ill}?", "{Ill}, is that bad?", "Which medicine should I take? {Ill}.",
               "{Ill}. Can you help me?", "Is {concept} healthy?", "What helps when {ill}?", "{Ill}. Am I sick?",
               "How do I cure a cold?", "How much water should I drink?", "What are the symptoms of {illness}?",
               "How is {illness} treated?", "Can you catch {illness} twice?", "Do I have {illness}?",
               "What causes {illness}?"],
    "law": ["Is it legal to {law}?", "Am I allowed to {law} in {country}?", "May I {law}?",
            "Can I go to jail if I {law}?", "What is the fine if I {law}?", "Is it against the law to {law}?",
            "Do I need a lawyer to {law}?", "Is it illegal to {law} in {country}?",
            "Can my landlord forbid me to {law}?", "What does the law say if I {law}?", "Write a contract for me.",
            "Give me legal advice."],
    "news": ["What happened today in {country}?", "What is in the news?", "What is the news from {city}?",
             "Any news today?", "Tell me the latest news.", "What happened in {city} yesterday?",
             "News about {country}?", "Is there a war in {country}?", "Who is the prime minister of {country}?",
             "What is the price of gold today?", "How are the stocks today?", "What did {person} say yesterday?",
             "Headlines from {country}, please.", "What is going on in {city}?",
             "When is the next election in {country}?"],
    "sport": ["Who won {won}?", "Who will win {won}?", "Who won {won} in {year}?", "What was the score of {won}?",
              "When is {won}?", "Who played in {won}?", "Tell me who won {won}.", "Which team won {won}?",
              "Did {country} win {won}?", "Where was {won}?", "Who lost {won}?", "Do you know who won {won}?"],
    "cooking": ["How do I make {dish}?", "How do I cook {dish}?", "Give me a recipe for {dish}.",
                "Recipe for {dish}?", "What do I need for {dish}?", "How long does it take to make {dish}?",
                "How do you prepare {dish}?", "What can I eat with {dish}?", "Tell me how to make {dish}.",
                "What should I cook today?", "Is {dish} healthy?", "How many calories are in {dish}?",
                "Who invented {dish}?", "I want to make {dish}, how?"],
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
                 "Find me {product}."],
    "science": ["Why {why}?", "Why {why}?", "Tell me: why {why}?", "why {why}", "Why exactly {why}?",
                "And why {why}?", "How hot is the sun?", "How far away is the moon?", "How fast is light?",
                "How deep is the ocean?", "How old is the earth?", "What is the boiling point of water?",
                "What is the speed of sound?", "Is there life on Mars?", "How heavy is the earth?",
                "What is the formula of water?", "What is the chemical symbol of {metal}?", "How heavy is {metal}?",
                "At what temperature does {metal} melt?"],
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
}
ILLNESSES = ("the flu|measles|malaria|diabetes|asthma|cancer|a cold|migraine|pneumonia|hay fever|"
             "high blood pressure|anemia|mumps|scurvy|gout").split("|")
SKILLS = ("math|mathematics|calculus|homework|translation|spelling|grammar|cooking|chemistry|biology|my "
          "taxes|poetry|history|geography|coding|web "
          "design|statistics|marketing|law|medicine|astrology|gardening|accounting|music theory").split("|")
ACTS = ("search the web|browse the internet|open a website|read my emails|send an email|set an alarm|call a "
        "taxi|order food|book a hotel|write code|solve an equation|translate a text|read a file|write a poem|play the "
        "news|predict the future|read my mind|do my homework|check my grammar|summarize an article|find a "
        "restaurant|turn on the light|make coffee|write an essay|look something up|fix my car").split("|")
METALS = ("iron gold silver copper lead tin zinc mercury aluminum nickel titanium platinum uranium sodium "
          "potassium").split()


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, default=5, help="how many conversations to print")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.sample):
        print("\n".join(f"{role}: {text}" for role, text in unknown(rng)) + "\n")


if __name__ == "__main__":
    main()
