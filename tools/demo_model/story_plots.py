"""The plots of stories.py: beats in a few wordings each, and what heroes of each kind have and do.

A beat is a list of wordings, one sentence each (or the name of a list in CLOSINGS). Slots: {a} 'a little fox', {the}
'the fox', {n} the name, {he} {him} {his}, {home}, {friend} 'an old owl', {thefriend} 'the owl', {thing} what the hero
owns, {treat} what tastes good, {s1} {s2} {s3} where to look, {small} who needs help. {The}, {He} and
so on begin with a capital.
"""

CLOSINGS = {
    "friends": ["From that day on, {n} and {thefriend} were the best of friends.",
                "After that, {n} and {thefriend} were friends forever.",
                "And so {the} and {thefriend} became good friends and met every day."],
    "happy": ["That night {the} fell asleep with a smile.", "{The} went home happy and slept well that night.",
              "And {the} lived happily for many years.", "From then on, every day was a good day for {the}."],
    "learned": ["{The} never forgot that day.", "And {the} learned that it is good to have friends.",
                "Since that day {the} knows that a kind friend is the best treasure."],
}

MOVER_OPENINGS = ["Once upon a time there was {a} named {n} who lived {home}.",
                  "Once upon a time, {a} named {n} lived {home}.", "Long ago, {a} named {n} lived {home}.",
                  "There once was {a} named {n} who lived {home}.", "{Home} there lived {a} named {n}."]
MOVER_LIKES = ["Every day {the} liked to {like}.", "{N} liked to {like}.", "{The} loved to {like}.",
               "More than anything, {the} loved to {like}."]
_DAY = ["One sunny morning", "One rainy day", "One windy afternoon", "One cold evening", "One quiet morning", "One day"]


def _days(*endings):
    """The same sentence on several days."""
    return [f"{day}, {ending}" for day in _DAY for ending in endings]


# "helper": the plot has a {friend} who matters, so that a second subject can take that part. "who": what a request may
# say of the hero to get this plot.
MOVER_PLOTS = [
    {"helper": True, "who": ["who lost something", "who cannot find a favorite thing"],
     "beats": [  # a thing is lost
        _days("{the} could not find {his} {thing}.", "{n} lost {his} {thing}.",
              "{the} saw that {his} {thing} was gone."),
        ["{He} looked {s1} and {s2}, but it was not there.", "{N} looked {s1}, and then {s2}, but it was not there.",
         "{The} looked {s1} and {s2}, but could not find it."],
        ["Then {friend} came by and said, \"Do not worry, I will help you.\"",
         "{Friend} saw how sad {the} was and wanted to help.", "{Friend} heard {the} crying and stopped to help."],
        ["Together they looked {s3}, and there it was!", "They looked everywhere, and at last they found it {s3}.",
         "Soon {thefriend} saw the {thing} {s3}."],
        ["\"Thank you,\" said {the}, and {he} jumped for joy.", "{The} was so happy that {he} laughed out loud.",
         "{N} was very happy and thanked {thefriend}."],
        "friends"]},
    {"helper": True, "who": ["who gets lost", "who cannot find the way home", "who is lost"],
     "beats": [  # the way home is lost
        _days("{the} {move} too far from home.", "{n} {move} a long way and forgot the time."),
        ["Soon it was dark, and {the} did not know the way back.",
         "Then fog came, and {the} could not see the way home.", "When night came, {he} did not know where {he} was."],
        ["{The} was afraid and began to cry.", "{N} sat down and felt very small.",
         "\"I want to go home,\" said {the}."],
        ["Then {friend} came and said, \"Follow me, I know the way.\"",
         "{Friend} heard {him} and said, \"I will take you home.\""],
        ["Side by side they {move} through the night until they saw the {house} of {the}.",
         "They sang a song on the way, and soon {the} was back at {his} {house}."],
        ["{N} thanked {thefriend} and gave a big hug.", "\"You are a true friend,\" {the} said to {thefriend}."],
        "happy"]},
    {"helper": True, "who": ["who is afraid", "who learns to be brave"],
     "beats": [  # a fear
        ["But {the} was afraid of the dark.", "But {n} was afraid of thunder.", "But {the} was afraid of loud noises."],
        _days("{he} hid at home and did not want to come out.", "{the} was so scared that {he} could not move."),
        ["{Friend} sat down next to {the} and held {him} close.",
         "{Friend} came to visit and saw that {the} was scared."],
        ["\"When I am afraid, I sing a little song,\" said {thefriend}.",
         "\"When I am afraid, I count to ten,\" said {thefriend}.",
         "\"When I am afraid, I think of my friends,\" said {thefriend}."],
        ["{The} tried it, and slowly the fear went away.", "{N} tried it too, and it helped."],
        ["Since that day {the} is brave and helps others who are afraid.",
         "From then on, {the} was not afraid anymore."]]},
    {"helper": False, "who": ["who helps others", "who helps somebody small", "who is a hero"],
     "beats": [  # the hero helps
        _days("{the} heard a small voice calling for help.", "{n} heard somebody cry {s1}."),
        ["It was {small} that was stuck {s2}.", "There was {small} that could not get out of a hole {s2}."],
        ["\"Do not be afraid,\" said {the}, \"I will help you.\"", "{The} did not wait and {move} closer."],
        ["{He} pulled and pulled, and at last {thesmall} was free.",
         "{He} thought hard, found a long stick, and pulled {thesmall} out."],
        ["{Thesmall} thanked {the} and invited everyone to a party.", "\"You are my hero,\" {thesmall} said to {the}."],
        ["From that day on, {the} and {thesmall} played together every day.",
         "{N} was proud and happy, and the two became good friends."]]},
    {"helper": True, "who": ["who wants to learn something", "who has a dream", "who never gives up"],
     "beats": [  # something to learn
        ["{The} had a dream: {he} wanted to learn how to dance.",
         "{The} had a dream: {he} wanted to learn how to sing.",
         "{The} had a dream: {he} wanted to learn how to whistle."],
        ["But every time {n} tried, it went wrong.", "{He} tried every morning, but it was too hard.",
         "At first {the} was not good at it at all."],
        ["{Friend} saw this and said, \"Let us practice together.\"", "One day {friend} said, \"I can teach you.\""],
        ["They practiced every day, a little at a time.", "Day after day {the} and {thefriend} practiced together."],
        ["In the spring there was a big show, and {the} did it without a mistake.",
         "After a month {the} could do it better than anyone."],
        ["Everyone clapped, and {n} was very happy.",
         "All the friends cheered for {the}, and {thefriend} cheered most of all."]]},
    {"helper": True, "who": ["who has no friends", "who finds a friend", "who makes a new friend"],
     "beats": [  # no friends yet
        ["But {the} had nobody to play with.", "But {n} was new there and had no friends.",
         "But {the} was often alone."],
        _days("{the} sat {s1} and felt sad.", "{n} sat alone {s1}."),
        ["Then {friend} came by and looked lonely too.", "There {he} met {friend} who was alone as well."],
        ["\"Would you like to share {treat} with me?\" asked {the}.", "\"Do you want to play with me?\" asked {the}.",
         "\"Will you be my friend?\" {the} asked quietly."],
        ["{Thefriend} smiled and said yes.", "\"Oh yes!\" said {thefriend} and smiled.",
         "\"I would love to,\" said {thefriend}."],
        ["They played and laughed until the sun went down.", "They told each other stories all day long."],
        "friends"]},
    {"helper": True, "who": ["in a storm", "who loses a home"],
     "beats": [  # a storm
        ["One night a big storm came and broke the {house} of {the}.",
         "One night the wind was so strong that {the} lost {his} {house}."],
        ["In the morning {n} did not know what to do.", "{The} was cold and wet and very sad."],
        ["{Friend} came and said, \"You can stay with me.\"", "Then {friend} came with many friends to help."],
        ["Together they built a new {house}, strong and warm.",
         "They all worked hard, and after three days a new {house} was ready."],
        ["{The} made {treat} for everyone to say thank you.", "\"This is the best {house} in the world,\" said {the}."],
        "learned"]},
    {"helper": True, "who": ["who learns to share", "who shares with a friend"],
     "beats": [  # sharing
        _days("{the} found {treat}.", "{n} found {treat} {s1}."),
        ["\"This is all for me,\" said {the} and hid it {s2}.", "{The} wanted to keep it and told nobody."],
        ["Then {friend} came by and was very hungry.",
         "Soon {friend} came along and said, \"I have not eaten all day.\""],
        ["{The} thought about it and felt sorry.", "{N} looked at {thefriend} and {his} heart grew soft."],
        ["So {the} shared it, and it tasted twice as good.",
         "\"Let us eat together,\" said {the}, and they shared it."],
        ["Since then {the} always shares what {he} has, and {he} is never alone.",
         "That evening {the} and {thefriend} laughed together for a long time."]]},
    {"helper": True, "who": ["who needs a present", "who goes to a birthday"],
     "beats": [  # a present
        ["It was the birthday of {friend}, and {the} had no present.",
         "{Friend} had a birthday, but {the} had nothing to give."],
        ["{The} looked {s1} and {s2}, but nothing was good enough.", "{N} was sad because {he} had no money."],
        ["Then {he} had an idea.", "Then {the} smiled, because {he} knew what to do."],
        ["{The} gave {thefriend} {his} own {thing}.", "{The} made {treat} and wrote a song for {thefriend}."],
        ["\"This is the best present of all,\" said {thefriend}.",
         "{Thefriend} was so happy that everyone began to dance."],
        "happy"]},
    {"helper": True, "who": ["who cannot sleep", "who is not tired"],
     "beats": [  # sleepless
        ["One night {the} could not sleep.", "One night {n} lay awake for a long time."],
        ["{He} turned to the left and to the right, but it did not help.",
         "{The} counted to one hundred, but {he} was still awake."],
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
        ["{He} showed it to {friend}, and they set out at once.",
         "\"Come with me,\" {the} said to {friend}, \"let us find the treasure.\""],
        ["They {move} for a long time and grew tired.", "The way was long, but {the} did not give up."],
        ["At the end they found a box, and it was full of silver bells.",
         "At the red cross they found a box with a golden cup."],
        ["{The} gave half of the treasure to {thefriend}.", "\"Half of it is yours,\" {the} said to {thefriend}."],
        ["But the best treasure was their friendship, and {the} knew it."]]},
]
