"""The plots of stories.py: beats in a few wordings each, and what heroes of each kind have and do.

A beat is a list of wordings, one sentence each (or the name of a list in CLOSINGS). Slots: {a} 'a little fox', {the} 'the fox', {n} the name,
{he} {him} {his}, {home}, {friend} 'an old owl', {thefriend} 'the owl', {thing} what the hero owns, {treat} what tastes good,
{s1} {s2} {s3} where to look. {The}, {He} and so on begin with a capital.
"""

_LAND_FRIENDS = ["an old owl", "a friendly mouse", "a wise tortoise", "a kind deer", "a cheerful squirrel", "a gentle bear",
                 "a clever crow", "a quick hare", "a small hedgehog", "a wise old badger", "a young rabbit", "a helpful beaver"]
_SEA_FRIENDS = ["an old turtle", "a friendly crab", "a wise whale", "a small seahorse", "a cheerful dolphin", "a gentle seal",
                "a clever octopus", "a bright starfish"]
_TOWN_FRIENDS = ["a kind neighbor", "an old gardener", "a friendly dog", "a cheerful baker", "a wise teacher", "a young painter",
                 "a clever cat", "a helpful sailor", "a gentle farmer", "a wise old owl"]
_BUG_FRIENDS = ["an old beetle", "a friendly ant", "a kind ladybug", "a cheerful bee", "a wise spider", "a small cricket",
                "a bright firefly", "a gentle butterfly"]
_LAND_THINGS = ["red ball", "blue scarf", "favorite blanket", "little drum", "yellow hat", "shiny stone", "wooden whistle",
                "striped sock", "silver bell", "warm mitten"]
_LAND_SEARCH = ["under the leaves", "behind the trees", "near the old bridge", "along the path", "by the stream", "under the big stone",
                "in the tall grass", "behind the barn", "next to the pond"]
_TOWN_SEARCH = ["under the bench", "behind the door", "in the garden", "along the street", "in the kitchen", "near the well",
                "behind the shed", "under the stairs", "next to the market"]
_LAND_TREATS = ["a basket of berries", "a big apple pie", "a jar of honey", "a bag of nuts", "a bowl of sweet cherries"]
_SMALL_LAND = ["a tiny mouse", "a little rabbit", "a baby bird", "a small frog", "a young lamb"]

HABITATS = {
    "animal": {
        "homes": ["in a green forest", "near a small village", "on a quiet farm", "under an old oak tree", "at the edge of a wide meadow",
                  "by a clear stream", "behind a red barn", "on a sunny hill", "in a deep valley", "beside a blue lake"],
        "likes": ["play in the tall grass", "look at the clouds", "count the stars at night", "sleep in the warm sun", "sing in the morning",
                  "splash in the puddles", "collect pretty stones", "listen to the birds"],
        "things": _LAND_THINGS, "treats": _LAND_TREATS, "search": _LAND_SEARCH, "friends": _LAND_FRIENDS, "small": _SMALL_LAND,
        "moves": ["walked", "hurried", "wandered"], "house": ["den", "home", "house"],
    },
    "bird": {
        "homes": ["in a tall tree", "on the roof of an old church", "near a small village", "by a quiet pond", "at the edge of a green forest",
                  "in a sunny garden", "high above a little harbor", "in a cozy nest on a hill"],
        "likes": ["sing in the morning", "fly over the green hills", "play with the wind", "watch the boats", "count the clouds",
                  "rest on a warm branch"],
        "things": ["shiny button", "blue ribbon", "red berry", "silver bell", "golden leaf", "bright bead", "little drum", "soft blanket"],
        "treats": ["a basket of seeds", "a bag of nuts", "a big piece of bread", "a bowl of sweet cherries"],
        "search": _LAND_SEARCH + ["in the branches", "on the roof"], "friends": _LAND_FRIENDS, "small": _SMALL_LAND,
        "moves": ["flew"], "house": ["nest", "home"],
    },
    "fish": {
        "homes": ["in a blue lake", "in the deep sea", "in a clear river", "near a coral reef", "by an old shipwreck", "in a quiet bay",
                  "under the waves"],
        "likes": ["play in the waves", "swim in circles", "blow bubbles", "look for pretty shells", "race with the waves",
                  "sing under the water"],
        "things": ["white pearl", "pink shell", "shiny stone", "silver bell", "golden ring", "blue marble", "little drum"],
        "treats": ["a heap of sweet seaweed", "a bowl of sea grapes", "a big seaweed cake"],
        "search": ["under the stones", "behind the seaweed", "in the old shipwreck", "near the reef", "in the soft sand", "inside a dark cave",
                   "between the shells"],
        "friends": _SEA_FRIENDS, "small": ["a tiny shrimp", "a little crab", "a baby turtle", "a small seahorse"],
        "moves": ["swam"], "house": ["home", "cave"],
    },
    "bug": {
        "homes": ["in a flower garden", "under a green leaf", "in a sunny meadow", "behind an old fence", "near a small pond",
                  "beside a rose bush", "in a hollow log"],
        "likes": ["rest on a warm stone", "smell the flowers", "play under the leaves", "listen to the rain", "count the petals",
                  "dance in the sun"],
        "things": ["acorn cup", "yellow petal", "tiny drum", "golden seed", "red bead", "soft feather", "silver button"],
        "treats": ["a drop of honey", "a sweet berry", "a big crumb of cake", "a ripe plum"],
        "search": ["under the leaves", "behind the flowers", "near the old fence", "in the soft moss", "under a mushroom", "along the garden path",
                   "between the roots"],
        "friends": _BUG_FRIENDS, "small": ["a tiny ant", "a little snail", "a young ladybug", "a small worm"],
        "moves": ["hurried", "wandered"], "house": ["home", "house"],
    },
    "person": {
        "homes": ["in a small town", "in a house by the sea", "on a quiet street", "in a village by the river", "near a big forest",
                  "in a little cottage", "at the top of a hill", "in a busy city"],
        "likes": ["paint bright pictures", "bake sweet bread", "walk by the river", "sing old songs", "read funny books",
                  "look at the stars", "plant flowers", "feed the birds"],
        "things": ["red scarf", "blue hat", "silver key", "favorite book", "old map", "little flute", "golden button", "green umbrella"],
        "treats": _LAND_TREATS + ["a warm loaf of bread"], "search": _TOWN_SEARCH, "friends": _TOWN_FRIENDS,
        "small": ["a tiny kitten", "a little bird", "a small puppy", "a young rabbit"],
        "moves": ["walked", "hurried", "wandered"], "house": ["house", "home"],
    },
    "creature": {
        "homes": ["in a cave behind a waterfall", "in an old castle", "on a misty mountain", "in a dark forest", "near a small village",
                  "in a tower by the sea", "at the end of a long road", "in a house with a crooked roof"],
        "likes": ["look at the stars", "play in the snow", "sing old songs", "collect shiny things", "dance in the moonlight",
                  "watch the clouds"],
        "things": ["golden ring", "red scarf", "silver bell", "magic book", "blue lantern", "little drum", "shiny coin"],
        "treats": _LAND_TREATS, "search": _LAND_SEARCH, "friends": _LAND_FRIENDS + ["a kind shepherd", "a brave knight", "a little girl"],
        "small": _SMALL_LAND, "moves": ["hurried", "wandered"], "house": ["house", "home"],
    },
    "machine": {
        "homes": ["in a busy town", "near a big harbor", "in a small workshop", "at the end of a long road", "beside a quiet river",
                  "in a village in the hills"],
        "likes": ["travel to new places", "help the people of the town", "watch the sunrise", "hum happy songs", "listen to the rain",
                  "make children smile"],
        "things": ["silver bell", "red flag", "shiny bolt", "yellow lamp", "lucky sticker", "little whistle"],
        "treats": ["a can of fine oil", "a basket of warm bread", "a box of bright lights"],
        "search": _TOWN_SEARCH, "friends": _TOWN_FRIENDS, "small": ["a tiny kitten", "a little bird", "a small puppy", "a young lamb"],
        "moves": ["hurried", "traveled"], "house": ["garage", "home"],
    },
}

CLOSINGS = {
    "friends": ["From that day on, {n} and {thefriend} were the best of friends.", "After that, {n} and {thefriend} were friends forever.",
                "And so {the} and {thefriend} became good friends and met every day."],
    "happy": ["That night {the} fell asleep with a smile.", "{The} went home happy and slept well that night.",
              "And {the} lived happily for many years.", "From then on, every day was a good day for {the}."],
    "learned": ["{The} never forgot that day.", "And {the} learned that it is good to have friends.",
                "Since that day {the} knows that a kind friend is the best treasure."],
}

MOVER_OPENINGS = ["Once upon a time there was {a} named {n} who lived {home}.", "Once upon a time, {a} named {n} lived {home}.",
                  "Long ago, {a} named {n} lived {home}.", "There once was {a} named {n} who lived {home}.",
                  "{Home} there lived {a} named {n}."]
MOVER_LIKES = ["Every day {the} liked to {like}.", "{N} liked to {like}.", "{The} loved to {like}.",
               "More than anything, {the} loved to {like}."]
_DAY = ["One sunny morning", "One rainy day", "One windy afternoon", "One cold evening", "One quiet morning", "One day"]


def _days(*endings):
    """The same sentence on several days."""
    return [f"{day}, {ending}" for day in _DAY for ending in endings]


# "helper": the plot has a {friend} who matters, so that a second subject can take that part. "who": what a request may say
# of the hero to get this plot.
MOVER_PLOTS = [
    {"helper": True, "who": ["who lost something", "who cannot find a favorite thing"],
     "beats": [  # a thing is lost
        _days("{the} could not find {his} {thing}.", "{n} lost {his} {thing}.", "{the} saw that {his} {thing} was gone."),
        ["{He} looked {s1} and {s2}, but it was not there.", "{N} looked {s1}, and then {s2}, but it was not there.",
         "{The} looked {s1} and {s2}, but could not find it."],
        ["Then {friend} came by and said, \"Do not worry, I will help you.\"", "{Friend} saw how sad {the} was and wanted to help.",
         "{Friend} heard {the} crying and stopped to help."],
        ["Together they looked {s3}, and there it was!", "They looked everywhere, and at last they found it {s3}.",
         "Soon {thefriend} saw the {thing} {s3}."],
        ["\"Thank you,\" said {the}, and {he} jumped for joy.", "{The} was so happy that {he} laughed out loud.",
         "{N} was very happy and thanked {thefriend}."],
        "friends"]},
    {"helper": True, "who": ["who gets lost", "who cannot find the way home", "who is lost"],
     "beats": [  # the way home is lost
        _days("{the} {move} too far from home.", "{n} {move} a long way and forgot the time."),
        ["Soon it was dark, and {the} did not know the way back.", "Then fog came, and {the} could not see the way home.",
         "When night came, {he} did not know where {he} was."],
        ["{The} was afraid and began to cry.", "{N} sat down and felt very small.", "\"I want to go home,\" said {the}."],
        ["Then {friend} came and said, \"Follow me, I know the way.\"", "{Friend} heard {him} and said, \"I will take you home.\""],
        ["Side by side they {move} through the night until they saw the {house} of {the}.",
         "They sang a song on the way, and soon {the} was back at {his} {house}."],
        ["{N} thanked {thefriend} and gave a big hug.", "\"You are a true friend,\" {the} said to {thefriend}."],
        "happy"]},
    {"helper": True, "who": ["who is afraid", "who learns to be brave"],
     "beats": [  # a fear
        ["But {the} was afraid of the dark.", "But {n} was afraid of thunder.", "But {the} was afraid of loud noises."],
        _days("{he} hid at home and did not want to come out.", "{the} was so scared that {he} could not move."),
        ["{Friend} sat down next to {the} and held {him} close.", "{Friend} came to visit and saw that {the} was scared."],
        ["\"When I am afraid, I sing a little song,\" said {thefriend}.", "\"When I am afraid, I count to ten,\" said {thefriend}.",
         "\"When I am afraid, I think of my friends,\" said {thefriend}."],
        ["{The} tried it, and slowly the fear went away.", "{N} tried it too, and it helped."],
        ["Since that day {the} is brave and helps others who are afraid.", "From then on, {the} was not afraid anymore."]]},
    {"helper": False, "who": ["who helps others", "who helps somebody small", "who is a hero"],
     "beats": [  # the hero helps
        _days("{the} heard a small voice calling for help.", "{n} heard somebody cry {s1}."),
        ["It was {small} that was stuck {s2}.", "There was {small} that could not get out of a hole {s2}."],
        ["\"Do not be afraid,\" said {the}, \"I will help you.\"", "{The} did not wait and {move} closer."],
        ["{He} pulled and pulled, and at last {thesmall} was free.", "{He} thought hard, found a long stick, and pulled {thesmall} out."],
        ["{Thesmall} thanked {the} and invited everyone to a party.", "\"You are my hero,\" {thesmall} said to {the}."],
        ["From that day on, {the} and {thesmall} played together every day.", "{N} was proud and happy, and the two became good friends."]]},
    {"helper": True, "who": ["who wants to learn something", "who has a dream", "who never gives up"],
     "beats": [  # something to learn
        ["{The} had a dream: {he} wanted to learn how to dance.", "{The} had a dream: {he} wanted to learn how to sing.",
         "{The} had a dream: {he} wanted to learn how to whistle."],
        ["But every time {n} tried, it went wrong.", "{He} tried every morning, but it was too hard.", "At first {the} was not good at it at all."],
        ["{Friend} saw this and said, \"Let us practice together.\"", "One day {friend} said, \"I can teach you.\""],
        ["They practiced every day, a little at a time.", "Day after day {the} and {thefriend} practiced together."],
        ["In the spring there was a big show, and {the} did it without a mistake.", "After a month {the} could do it better than anyone."],
        ["Everyone clapped, and {n} was very happy.", "All the friends cheered for {the}, and {thefriend} cheered most of all."]]},
    {"helper": True, "who": ["who has no friends", "who finds a friend", "who makes a new friend"],
     "beats": [  # no friends yet
        ["But {the} had nobody to play with.", "But {n} was new there and had no friends.", "But {the} was often alone."],
        _days("{the} sat {s1} and felt sad.", "{n} sat alone {s1}."),
        ["Then {friend} came by and looked lonely too.", "There {he} met {friend} who was alone as well."],
        ["\"Would you like to share {treat} with me?\" asked {the}.", "\"Do you want to play with me?\" asked {the}.",
         "\"Will you be my friend?\" {the} asked quietly."],
        ["{Thefriend} smiled and said yes.", "\"Oh yes!\" said {thefriend} and smiled.", "\"I would love to,\" said {thefriend}."],
        ["They played and laughed until the sun went down.", "They told each other stories all day long."],
        "friends"]},
    {"helper": True, "who": ["in a storm", "who loses a home"],
     "beats": [  # a storm
        ["One night a big storm came and broke the {house} of {the}.", "One night the wind was so strong that {the} lost {his} {house}."],
        ["In the morning {n} did not know what to do.", "{The} was cold and wet and very sad."],
        ["{Friend} came and said, \"You can stay with me.\"", "Then {friend} came with many friends to help."],
        ["Together they built a new {house}, strong and warm.", "They all worked hard, and after three days a new {house} was ready."],
        ["{The} made {treat} for everyone to say thank you.", "\"This is the best {house} in the world,\" said {the}."],
        "learned"]},
    {"helper": True, "who": ["who learns to share", "who shares with a friend"],
     "beats": [  # sharing
        _days("{the} found {treat}.", "{n} found {treat} {s1}."),
        ["\"This is all for me,\" said {the} and hid it {s2}.", "{The} wanted to keep it and told nobody."],
        ["Then {friend} came by and was very hungry.", "Soon {friend} came along and said, \"I have not eaten all day.\""],
        ["{The} thought about it and felt sorry.", "{N} looked at {thefriend} and {his} heart grew soft."],
        ["So {the} shared it, and it tasted twice as good.", "\"Let us eat together,\" said {the}, and they shared it."],
        ["Since then {the} always shares what {he} has, and {he} is never alone.", "That evening {the} and {thefriend} laughed together for a long time."]]},
    {"helper": True, "who": ["who needs a present", "who goes to a birthday"],
     "beats": [  # a present
        ["It was the birthday of {friend}, and {the} had no present.", "{Friend} had a birthday, but {the} had nothing to give."],
        ["{The} looked {s1} and {s2}, but nothing was good enough.", "{N} was sad because {he} had no money."],
        ["Then {he} had an idea.", "Then {the} smiled, because {he} knew what to do."],
        ["{The} gave {thefriend} {his} own {thing}.", "{The} made {treat} and wrote a song for {thefriend}."],
        ["\"This is the best present of all,\" said {thefriend}.", "{Thefriend} was so happy that everyone began to dance."],
        "happy"]},
    {"helper": True, "who": ["who cannot sleep", "who is not tired"],
     "beats": [  # sleepless
        ["One night {the} could not sleep.", "One night {n} lay awake for a long time."],
        ["{He} turned to the left and to the right, but it did not help.", "{The} counted to one hundred, but {he} was still awake."],
        ["So {he} {move} outside and met {friend}.", "{Friend} saw that {the} was awake and came closer."],
        ["\"Look at the moon and breathe slowly,\" said {thefriend}.", "\"I will sing for you,\" said {thefriend}."],
        ["{The} listened to the quiet night, and {his} eyes grew heavy.", "Soon {the} felt warm and calm."],
        ["A minute later {the} was asleep and dreamed of tomorrow.", "And so {n} slept until the sun came up."]]},
    {"helper": True, "who": ["who hears a strange noise"],
     "beats": [  # a strange noise
        ["Every night {the} heard a strange noise {s1}.", "One evening {the} heard a strange noise {s1}."],
        ["\"What can it be?\" {he} asked {friend}.", "{N} was scared and asked {friend} for help."],
        ["Together they {move} out to look.", "\"Let us find out,\" said {thefriend}, and they {move} out together."],
        ["It was only {small} that sang in its sleep!", "It was only the wind that played with an old bottle!"],
        ["{The} and {thefriend} laughed and laughed.", "{The} laughed so hard that {he} had to sit down."],
        "happy"]},
    {"helper": True, "who": ["who finds a treasure", "who looks for a treasure", "who finds a map"],
     "beats": [  # a treasure
        _days("{the} found an old map {s1}.", "{n} found a map with a red cross on it."),
        ["{He} showed it to {friend}, and they set out at once.", "\"Come with me,\" {the} said to {friend}, \"let us find the treasure.\""],
        ["They {move} for a long time and grew tired.", "The way was long, but {the} did not give up."],
        ["At the end they found a box, and it was full of silver bells.", "At the red cross they found a box with a golden cup."],
        ["{The} gave half of the treasure to {thefriend}.", "\"Half of it is yours,\" {the} said to {thefriend}."],
        ["But the best treasure was their friendship, and {the} knew it."]]},
]

THING_PLOTS = [
    {"beats": [  # forgotten
        ["Once upon a time there was {a} in a dark attic.", "Once upon a time, {a} was all alone in an old cellar.", "Long ago there was {a} in the corner of an old house."],
        ["Nobody had used {the} for many years, and it felt lonely.", "\"Everyone has forgotten me,\" thought {the}."],
        ["One rainy day, a {child} named {n} came in to play.", "One day, a {child} named {n} was looking for something to do."],
        ["{N} found {the} and cleaned it with a soft cloth.", "\"What a wonderful thing!\" said {n} when {he} found {the}."],
        ["Soon {the} looked as good as new.", "{N} took {the} to {his} room and gave it the best place."],
        ["From that day on, {n} took it everywhere.", "{N} showed it to all {his} friends, and they loved it."],
        ["And {the} was never lonely again.", "And {the} was the happiest one in the whole house."]]},
    {"beats": [  # mended
        ["Once upon a time there was {a} that belonged to a {child} named {n}.", "Once upon a time, a {child} named {n} had {a}."],
        ["{N} loved {the} more than anything else.", "{N} and {the} were together every day."],
        ["But one morning {the} fell down and broke.", "One windy day, {the} was broken."],
        ["{N} cried, because {he} did not know how to mend it.", "\"Oh no, my poor friend!\" said {n}."],
        ["{His} grandfather took some glue and a small brush and worked all evening.",
         "A kind neighbor came with a box of tools and looked at {the}."],
        ["In the morning {the} was whole again.", "Soon {the} was as good as new."],
        ["{N} smiled and said, \"Now I love it even more.\"", "{N} hugged {the} and was careful with it from then on."]]},
    {"beats": [  # lost and found
        ["Once upon a time, {a} belonged to a {child} named {n}.", "There once was {a}, and it belonged to a {child} named {n}."],
        ["One day, {n} forgot {the} in the park.", "One windy day, {the} was left behind in the street, and {n} did not see it."],
        ["The night came, and {the} was cold and all alone.", "It began to rain, and {the} was afraid."],
        ["\"Will {n} ever find me?\" thought {the}.", "At home {n} looked everywhere and was very sad."],
        ["Then {ananimal} came by and carried {the} home through the dark.", "Then {ananimal} found {the} and brought it to the door."],
        ["{N} opened the door and could not believe {his} eyes.", "When {n} saw it, {he} danced for joy."],
        ["Since that day {n} and {the} are never apart.", "And {the} never felt lonely again."]]},
    {"beats": [  # in a shop
        ["Once upon a time there was {a} in the window of a small shop.", "Long ago, {a} waited in the window of an old shop."],
        ["Many people walked by, but nobody wanted {the}.", "Every day {the} hoped that somebody would take it home."],
        ["One snowy day, a {child} named {n} stopped and looked at it for a long time.", "Then a {child} named {n} came in and smiled at {the}."],
        ["But {n} had only one coin, and that was not enough.", "\"I do not have enough money,\" {n} said sadly."],
        ["The old shopkeeper saw how much {n} loved {the}.", "The old shopkeeper thought for a while and smiled."],
        ["\"Take it, it is a present,\" said the old man.", "\"It has waited for you,\" said the old man and gave it to {him}."],
        ["{N} carried {the} home, and both were happy ever after.", "From that day on, {the} had a home and a friend."]]},
    {"beats": [  # of use
        ["Once upon a time there was {a} in the house of a {child} named {n}.", "Once upon a time, {a} lived in a small house with a {child} named {n}."],
        ["\"I am not good for anything,\" thought {the}.", "But {the} believed that nobody needed it."],
        ["One cold evening, {ananimal} came to the door and was very sad.", "One day, {ananimal} came to the house and cried."],
        ["{N} did not know how to help.", "\"How can I cheer you up?\" asked {n}."],
        ["Then {he} gave the {animal} {the} to play with.", "Then {n} remembered {the} and brought it."],
        ["The {animal} began to smile, and then it laughed.", "Soon the {animal} was happy again and danced around the room."],
        ["Now {the} knew that everyone is good for something.", "And {the} was proud, because it had made a friend happy."]]},
]

PLACE_PLOTS = [
    {"beats": [  # woken up
        ["Once upon a time there was {a} where nobody ever came.", "Far away behind the blue hills there was {a} that everyone had forgotten.",
         "Once upon a time, a {child} named {n} found {a}."],
        ["It was very quiet there, and {the} seemed to be asleep.", "No song and no laughter was ever heard near {the}."],
        ["One day, {n} came with {ananimal} and looked around.", "One sunny morning, {n} came with a basket and {ananimal}."],
        ["\"This is a wonderful place,\" said {n}.", "\"Why is nobody here?\" asked {n}."],
        ["{He} told all {his} friends about {the}, and they came too.", "The next day {he} came back to {the} with all {his} friends."],
        ["They cleaned it, painted signs and planted flowers.", "They sang, played and ate sweet cake."],
        ["From that day on, {the} was full of happy voices.", "And {the} was never lonely again."]]},
    {"beats": [  # a shelter
        ["Once upon a time there was {a} far away from everything.", "Once upon a time, a small town was proud of {a}."],
        ["One stormy night, {ananimal} lost its way.", "One winter evening, {ananimal} could not find its way home."],
        ["It was cold and afraid, but then it saw {the}.", "It walked and walked until it came to {the}."],
        ["Near {the} it found a dry place and fell asleep.", "There it met a {child} named {n} who gave it a warm blanket."],
        ["In the morning the sun shone over {the}, and the storm was over.", "All night the wind blew, but near {the} it was safe."],
        ["The {animal} went home and told everyone about {the}.", "The {animal} liked it so much that it stayed."],
        ["Since then everyone who is lost is welcome there.", "And {the} is still a good place for all who need a friend."]]},
    {"beats": [  # a treasure
        ["Once upon a time, a {child} named {n} lived near {a}.", "Once upon a time there was {a}, and a {child} named {n} lived close to it."],
        ["People said that a treasure was hidden near {the}.", "\"There is a secret near {the},\" said {his} grandmother."],
        ["One day, {n} took a lamp and went to look for it.", "One morning, {n} packed some bread and set out."],
        ["{He} looked high and low, but found nothing and grew tired.", "{He} looked for hours until {he} was tired and hungry."],
        ["Then {ananimal} came and showed {him} an old box.", "Then {ananimal} began to dig and found a small box."],
        ["In it was a letter: \"The treasure is {the} itself, take good care of it.\"",
         "In it was a note that said, \"Be kind to {the}, and it will make you happy.\""],
        ["{N} smiled and came back to {the} every day.", "From then on, {n} took good care of {the} and was happy."]]},
    {"beats": [  # mended together
        ["Once upon a time there was {a} that everyone loved.", "Once upon a time, a small town was proud of {a}."],
        ["But one night a great storm came to {the}.", "Then a hard winter came, and {the} was covered with ice and snow."],
        ["In the morning it looked sad and gray.", "After that, everyone was sad, and nobody came anymore."],
        ["A {child} named {n} said, \"We must help.\"", "\"We can mend it together,\" said a {child} named {n}."],
        ["{N} worked all day, and soon the whole town came to help.", "First {n} worked alone, but then more and more people came."],
        ["When spring came, {the} was more beautiful than ever.", "After a week {the} shone in the sun again."],
        ["They had a big party, and {n} danced until midnight.", "And everyone was proud of {the} and of {n}."]]},
]

PLANT_PLOTS = [
    {"beats": [  # thirst
        ["Once upon a time there was {a} in a small garden.", "Once upon a time, {a} grew at the edge of a garden.", "Long ago, {a} stood behind an old house."],
        ["The summer was hot, and {the} was very thirsty.", "It had not rained for weeks, and {the} was weak."],
        ["\"I only need a little water,\" thought {the}.", "Every day {the} looked at the sky, but no cloud came."],
        ["A {child} named {n} walked by and saw it.", "One morning, a {child} named {n} came into the garden."],
        ["{N} ran to the well and brought a can of fresh water.", "\"I will help you,\" said {n} and brought cool water."],
        ["{He} came back every day, and {the} grew strong again.", "Soon {the} stood up tall and felt much better."],
        ["In the end {the} was the most beautiful one in the garden, and {n} was proud.", "And {the} and {n} were friends for many years."]]},
    {"beats": [  # alone
        ["Once upon a time there was {a} on a lonely hill.", "Far away from the village there was {a} that stood all alone."],
        ["Nobody ever came, and {the} felt sad.", "\"I wish I had a friend,\" thought {the}."],
        ["One evening, a small bird came and was tired from a long trip.", "One windy day, a tired butterfly came flying by."],
        ["\"May I rest here?\" it asked.", "\"Is there room for me?\" it asked {the}."],
        ["\"Stay as long as you like,\" said {the}.", "\"Of course,\" said {the}, \"I am glad that you are here.\""],
        ["The little guest told stories about the sea and the mountains.", "They talked all night under the stars."],
        ["It came back every year, and {the} was never lonely again.", "From that day on, {the} had a friend and was happy."]]},
    {"beats": [  # the storm
        ["Once upon a time, a {child} named {n} planted {a}.", "Once upon a time there was {a} that a {child} named {n} loved."],
        ["Every day {n} looked after {the} and sang to it.", "{N} visited {the} each morning before school."],
        ["One night a strong wind came, and {the} almost fell.", "Then a storm came, and {the} shook with fear."],
        ["{N} ran out into the rain with a stick and a rope.", "{N} saw it from the window and ran outside."],
        ["{He} held {the} until the storm was over.", "{He} tied {the} to a strong stick with a soft rope."],
        ["In the morning the sun came out, and {the} was safe.", "When the sun came back, {the} was as strong as before."],
        ["\"We did it together,\" said {n} with a smile.", "{N} and {the} grew up together and were happy."]]},
]

LIGHT_PLOTS = [
    {"beats": [  # the way home
        ["Once upon a time, {a} looked down on a small village.", "Once upon a time there was {a} high above the hills."],
        ["One {time}, {the} saw {ananimal} that was lost in the woods.", "One {time}, {the} saw a small {animal} that could not find its way home."],
        ["\"Please help me,\" the {animal} cried.", "The {animal} was cold and began to cry."],
        ["So {the} shone as brightly as it could.", "\"Do not be afraid,\" said {the}, and it shone with all its might."],
        ["Now the {animal} could see the path between the trees.", "In the bright light the {animal} soon found the path."],
        ["When it was home, it waved and called, \"Thank you!\"", "Its mother was waiting at the door and was very happy."],
        ["Since then the {animal} greets {the} every {time}.", "And {the} smiled and shone all {time} long."]]},
    {"beats": [  # alone up there
        ["Once upon a time, {a} felt very lonely in the wide sky.", "Once upon a time there was {a} that had nobody to talk to."],
        ["\"Does anybody down there see me?\" thought {the}.", "Each {time} {the} looked down at the houses and sighed."],
        ["In one of the houses lived a {child} named {n}.", "Far below, a {child} named {n} sat at the window."],
        ["{N} looked up at {the} and waved.", "\"How beautiful you are!\" {n} said to {the}."],
        ["{The} was so glad that it shone twice as brightly.", "Then {the} began to glow with joy."],
        ["From then on, {n} waved to {the} every {time}.", "After that, {n} told {the} a story every {time}."],
        ["And {the} was never lonely again.", "And both of them knew that they had a friend."]]},
    {"beats": [  # behind clouds
        ["Once upon a time, {a} shone over the sea and made everyone happy.", "Once upon a time there was {a} that loved to shine."],
        ["But one {time} dark clouds came, and nobody could see {the}.", "One {time}, a big gray cloud hid {the}."],
        ["The fishermen were sad, and a {child} named {n} could not find the way home.", "Down below it was dark, and a {child} named {n} was afraid."],
        ["\"Please go away, dear cloud,\" said {the}, but the cloud was asleep.", "{The} tried to shine, but the cloud was too thick."],
        ["Then the wind came and blew the cloud away with one big puff.", "Then the wind laughed and pushed the cloud over the hills."],
        ["At once {the} shone again, and {n} laughed with joy.", "\"There you are!\" said {n} and danced in the light of {the}."],
        ["And {the} thanked the wind and shone until the end of the {time}.", "Since then {the} and the wind are good friends."]]},
]

RAIN_PLOTS = [
    {"beats": [  # a thirsty garden
        ["Once upon a time, {a} traveled over the land.", "Once upon a time there was {a} high above the fields."],
        ["One day, {the} saw a garden where all the flowers were sad.", "One hot day, {the} came to a garden with tired flowers."],
        ["A {child} named {n} sat there and said, \"It is so hot and dry.\"", "\"Who can help my flowers?\" asked a {child} named {n}."],
        ["\"I can help,\" said {the} and came closer.", "{The} heard this and did not wait."],
        ["Soon the air was cool and fresh, and the flowers lifted their heads.", "Soon it was cool in the garden, and the flowers began to smile."],
        ["{N} laughed and danced between the flowers.", "\"Thank you!\" {n} called up to {the}."],
        ["Then {the} went on to the next garden, and it was happy.", "From that day on, {the} came to visit every summer."]]},
    {"beats": [  # alone
        ["Once upon a time there was {a} that had no friends.", "Once upon a time, {a} was all alone in the big sky."],
        ["Whenever {the} came, people went into their houses.", "\"Nobody likes me,\" thought {the}."],
        ["One day, {the} met a {child} named {n} on a hill.", "Then a {child} named {n} came up the hill with {ananimal}."],
        ["\"I like you just as you are,\" said {n}.", "\"Please stay and play with me,\" said {n}."],
        ["{The} was so surprised that it turned around three times.", "{The} was so glad that it danced in the air."],
        ["They played all afternoon, and everyone heard them laugh.",
         "They told each other stories until the stars came out."],
        ["Since that day {the} knows that it has a friend.", "And {the} was never alone again."]]},
]

IDEA_PLOTS = [
    {"beats": [  # asking around
        ["Once upon a time, a {child} named {n} wanted to know what {a} is.", "Once upon a time, a {child} named {n} heard the word {a} and wondered what it meant."],
        ["{He} asked {ananimal}, but the {animal} did not know.", "\"What is {a}?\" {he} asked {ananimal}, but it only shook its head."],
        ["On the way home, {n} saw an old woman who carried heavy bags.", "Then {he} met an old woman who had lost her way."],
        ["{N} helped her and went with her to her door.", "{N} took her hand and brought her home."],
        ["\"Now you know what {a} is,\" the old woman said.", "The old woman smiled and said, \"You have {a} in your heart.\""],
        ["{N} thought about it and smiled too.", "{N} was surprised and very happy."],
        ["Since that day {n} knows that {a} begins with small things.", "And {n} told everyone that {a} is not far away."]]},
    {"beats": [  # two friends
        ["Once upon a time, a {child} named {n} had never heard of {a}.", "This is the story of {a} and of a {child} named {n}."],
        ["One day, {n} found {ananimal} that was hungry and cold.", "One winter day, {n} met {ananimal} in the snow."],
        ["\"I will help you,\" said {n}.", "{N} gave it half of {his} bread."],
        ["The {animal} stayed with {n}, and the two shared everything.", "They walked home together and sat by the fire."],
        ["\"This must be {a},\" said {n}.", "\"Now I know what {a} feels like,\" said {n}."],
        ["The {animal} looked at {him} and seemed to smile.", "Outside it was snowing, but inside it was warm."],
        ["And so {a} came into the house and never left.", "And wherever {n} went, {he} brought {a} with {him}."]]},
]

LOVED_PLOTS = [
    {"beats": [  # waiting for it
        ["Once upon a time, a {child} named {n} loved {a} more than anything.", "Once upon a time there was a {child} named {n} who loved {a}."],
        ["All year long {n} talked about {a} and could not wait.", "Every night {n} dreamed of {a}."],
        ["But one day, {he} was ill and had to stay in bed.", "But one day, {n} had to stay at home and was very sad."],
        ["\"Now there is no {a} for me,\" said {n}.", "\"I will miss {a} this time,\" {he} said with a tear."],
        ["Then there was a knock at the door, and all {his} friends came in.", "Then {his} grandmother came with a big basket and a smile."],
        ["\"We bring {a} to you!\" said a happy voice.", "There were pictures and songs about {a} for {him}."],
        ["{N} laughed, and it was the best day of the year.", "That evening {n} was happy and soon felt better."]]},
    {"beats": [  # shared
        ["Once upon a time, a {child} named {n} thought about {a} every day.", "There once was a {child} named {n}, and {his} favorite thing was {a}."],
        ["But {his} friend, {ananimal}, knew nothing about {a}.", "One day, {he} met {ananimal} that had never heard of {a}."],
        ["\"Then I will show you,\" said {n}.", "\"Come with me,\" said {n}, \"I will show you.\""],
        ["At first the {animal} was shy and wanted to go home.", "The {animal} was afraid at first, but {n} was patient."],
        ["But soon it liked {a} as much as {n} did.", "After an hour it did not want to stop."],
        ["\"{A} is more fun with a friend,\" said {n}.", "They laughed so much that everyone came to see."],
        ["From that day on, the two enjoyed {a} together.", "And that is how {a} made two good friends."]]},
]
