"""What stories.py tells of: subjects with their kinds, articles, adjectives and pronouns, and names of heroes."""

import re
from dataclasses import dataclass


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


NOUNS = {
    "animal":
        "fox bear rabbit mouse hedgehog squirrel deer wolf badger cat kitten dog puppy cow calf horse pony donkey "
        "sheep lamb goat pig piglet elephant lion tiger monkey giraffe zebra camel kangaroo koala panda sloth penguin "
        "ostrich hippo rhino leopard cheetah llama beaver raccoon skunk moose reindeer hamster guinea_pig mole hare "
        "lizard gecko frog toad tortoise gorilla polar_bear buffalo yak meerkat chipmunk porcupine armadillo anteater "
        "weasel ferret lynx jaguar crocodile dinosaur hen rooster turkey chick rat bull wild_boar tiger_cub bear_cub "
        "antelope ox chicken bunny foal fawn fox_cub lion_cub wolf_cub bison alpaca opossum wombat hyena chimpanzee "
        "orangutan rhinoceros hippopotamus gerbil",
    "bird":
        "owl robin sparrow crow raven eagle parrot duck duckling goose swan pigeon dove seagull flamingo pelican "
        "stork woodpecker swallow magpie hummingbird peacock bat cuckoo blackbird hawk falcon toucan canary "
        "nightingale bird baby_bird wren finch parakeet lark vulture kingfisher pheasant quail emu gosling",
    "fish":
        "fish goldfish whale dolphin shark octopus seahorse crab lobster turtle seal starfish jellyfish squid shrimp "
        "salmon otter walrus tuna eel trout sea_turtle baby_whale clownfish pufferfish catfish stingray swordfish "
        "tadpole clam oyster sea_lion",
    "bug":
        "bee butterfly ladybug firefly dragonfly moth ant beetle spider snail caterpillar worm grasshopper cricket "
        "bumblebee mosquito snake centipede insect wasp fly scorpion glowworm earthworm",
    "person":
        "boy girl child baker farmer teacher doctor sailor pirate king queen prince princess knight astronaut painter "
        "singer dancer gardener shepherd fisherman clown grandmother grandfather librarian nurse cook postman tailor "
        "woodcutter explorer inventor scientist student musician detective carpenter blacksmith mermaid fairy elf "
        "dwarf giant wizard witch captain cowboy ninja superhero firefighter police_officer pilot bus_driver mother "
        "father brother sister twin baby mechanic poet drummer magician thief emperor woman man neighbor "
        "grandma grandpa dad mom daughter son soldier hunter miner dentist engineer builder chef waiter actor toddler "
        "cousin aunt uncle orphan hermit beekeeper weaver miller toymaker juggler acrobat train_driver runner scout",
    "creature":
        "dragon unicorn ghost monster troll goblin phoenix griffin snowman alien gnome robot teddy_bear scarecrow "
        "yeti vampire genie puppet sea_monster baby_dragon zombie gingerbread_man toy_soldier fairy_godmother "
        "leprechaun ogre sprite rag_doll",
    "machine":
        "train tractor fire_engine bus truck car bicycle boat ship rocket helicopter airplane tram submarine "
        "steam_engine sailboat spaceship snowplow digger taxi motorcycle ambulance sled crane drone fire_truck van "
        "wheelbarrow lawnmower racing_car garbage_truck ferry",
    "thing":
        "kite teapot lamp shoe ball drum book clock umbrella balloon candle mirror violin guitar bell button key coin "
        "pencil hat scarf mitten sock blanket pillow spoon cup bowl chair table doll suitcase basket lantern "
        "telescope phone radio camera computer toy_car toy_train paper_boat paper_plane music_box snow_globe bottle "
        "jar ring crown treasure_chest map stamp letter whistle puzzle backpack raincoat broom carpet piano flute "
        "trumpet cookie cupcake pancake teacup necklace marble yo-yo wagon swing ladder bucket paintbrush crayon "
        "watch ticket battery charger router feather pebble seashell box statue tablet laptop television calculator "
        "stone rock pen toothbrush bed door present gift toy boot glove cap rope hammer needle cake loaf egg sandwich "
        "fork plate pot kettle oven alarm_clock wheel flag coat jacket picture lollipop bubble sword diamond treasure "
        "fence fountain hourglass rocking_horse sandcastle dress shirt comb candy snowball stick wooden_spoon tent",
    "place":
        "castle island lighthouse garden village mountain bridge school library treehouse forest river lake house "
        "windmill farm cave beach harbor train_station bakery playground museum zoo circus market tower desert hill "
        "valley meadow pond waterfall park toy_shop bookshop hotel palace city town cottage well jungle theater "
        "hospital swamp volcano street road shop kitchen attic cellar barn stable orchard igloo temple church field "
        "nest beehive tunnel planet space_station airport restaurant",
    "plant":
        "tree apple_tree oak_tree pine_tree cherry_tree sunflower rose cactus pumpkin mushroom flower daisy tulip "
        "carrot tomato strawberry willow rosebush poppy Christmas_tree palm_tree bean potato apple leaf acorn "
        "lemon_tree orchid fern pear cherry banana melon pea onion seed dandelion lily violet snowdrop maple_tree "
        "fig_tree lemon peach plum",
    "light":
        "star comet shooting_star",
    "rain":
        "cloud raindrop rain_cloud breeze snowflake",
    "idea":
        "friendship kindness courage love hope patience honesty sharing trust happiness teamwork peace luck "
        "forgiveness joy bravery respect freedom magic truth wisdom gratitude curiosity family",
    "loved":
        "winter summer spring autumn music snow Christmas space chocolate dancing football painting baking ice_cream "
        "swimming reading camping pizza cheese Halloween fishing skating soccer basketball chess singing cooking "
        "popcorn honey",
}
ONLY_ONES = [("moon", "light"), ("sun", "light"), ("wind", "rain"), ("rain", "rain"), ("sea", "place"),
             ("North_Star", "light"), ("ocean", "place"), ("rainbow", "light")]
# Never in training: what the model makes of subjects it has not seen.
UNSEEN = ("a mongoose|a heron|a puffin|a wolverine|a gazelle|a plumber|a barber|a shoemaker|a tugboat|a scooter|a "
          "hovercraft|a thimble|a harp|a saddle|an anchor|a chapel|a canyon|a lilac bush|a lanternfish|a brave "
          "little newt").split("|")
GENDER = {noun: "he" for noun in ("boy king prince fisherman grandfather postman cowboy father brother wizard rooster "
                                  "bull emperor snowman man son dad uncle grandpa").split() + ["gingerbread man"]}
_SHE_NOUNS = "girl queen princess grandmother mermaid fairy witch mother sister cow hen woman daughter mom aunt grandma"
GENDER.update({noun: "she" for noun in [*_SHE_NOUNS.split(), "fairy godmother"]})

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
ALIVE = ("animal", "bird", "fish", "bug", "person", "creature", "machine")
HELPERS = ("animal", "bird", "fish", "person", "creature")
KINDS = {"animal": "alive color", "bird": "alive color", "fish": "alive color", "bug": "alive color",
         "person": "alive", "creature": "alive color", "machine": "alive color", "thing": "thing", "place": "place",
         "plant": "plant", "light": "sky", "rain": "sky", "idea": "", "loved": "", "named": "",}
SECOND = ("little", "old", "young")  # may follow another adjective: a brave little fox
LAST = SECOND + ("tiny", "small", "big") + tuple(ADJECTIVES["color"])  # none of those follows these


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
BY_NOUN = {s.noun.lower(): s for s in SUBJECTS}

# Names of heroes; the list decides the pronoun, so that 'Pip ... he' holds through a story.
HE = ("Pip Rusty Bruno Max Leo Oscar Finn Toby Sam Milo Otto Felix Benny Hugo Charlie Jack Theo Gus Archie Ralph "
      "Barney Teddy Rocco Ziggy Tom Ben Noah Adam Paul Peter Emil Ivan Omar Ravi Kenji Luis Marco "
      "Anton Jonas Henry").split()
SHE = ("Luna Bella Daisy Molly Ruby Poppy Lily Rosie Nora Mia Zoe Tilly Hazel Ivy Willow Clara Ella Maya Coco Penny "
       "Stella Lola Fern Pearl Olive Anna Emma Sofia Lena Amina Priya Yuki Rosa Carla Greta Ines "
       "Alice Eva Julia Sara").split()
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her"), "it": ("it", "it", "its")}
