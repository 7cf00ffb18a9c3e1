"""Words that the forms of unknown.py are filled with: what people ask about that is not Shoal."""

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
