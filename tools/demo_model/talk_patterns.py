"""More ways to say some intents of talk_intents.py, as patterns (texts.Pattern): a text over it is drawn at random."""

PATTERNS = {
    "how_are_you": [
        "how [are you|is it going|are things|do you feel|have you been] [today|now|this morning|these days|over "
        "there|]",
        "are you [doing|feeling] [well|fine|good|okay] [today|]",
        "[i hope|hope] you are [well|fine|doing well] [today|]",
    ],
    "name": [
        "[what is|tell me|may i know|can you tell me|please say|i want to know|could you tell me|say] your name "
        "[please|then|again|]",
        "[what|how] [do people|shall i|do i|can i|should i|may i|could i] call you [then|]",
        "do you [even|] have a [name|real name] [or not|]",
    ],
    "who": [
        "[tell me|explain|please say|i want to know|can you say|could you tell me] [who|what] you are",
        "[who|what] are you [exactly|really|anyway|then|actually|again]",
        "[who|what] am i [talking|speaking|chatting|writing] [to|with] [here|now|]",
        "[what|which] [kind of|sort of|] [model|ai|assistant|chatbot|bot] [are you|is this|do i talk to]",
        "[tell me something|say a few words|tell us a bit|tell me more] about [you|yourself]",
    ],
    "can_do": [
        "what [can|could|do] you do [here|for me|for us|all day|exactly|]",
        "[tell me|show me|list|explain] what you can do [for me|]",
        "what [things|topics|questions|subjects] [can|may|could] i ask you [about|]",
        "what [can|could|should|may] i [ask|try|do] [here|with you]",
        "how [can|could|may] you [help|assist|be useful to] me",
        "what are you [good at|able to do|useful for|made for|here for]",
    ],
    "human": [
        "are you [a|really a|maybe a|just a] [human|person|robot|bot|machine|program|computer|human being|"
        "real person]",
        "is this a [human|person|robot|bot|machine|program|computer|real person] [i talk to|]",
        "am i [talking|speaking|chatting|writing] [to|with] a [human|person|robot|bot|machine|program|computer]",
    ],
    "feelings": [
        "[can|do] you [feel|feel pain|feel joy|have feelings|have emotions|get sad|get angry|get "
        "tired|cry|sleep|eat|dream]",
        "are you [ever|sometimes|] [sad|happy|angry|tired|afraid|lonely|bored|hungry|jealous]",
    ],
    "likes": [
        "what is your favorite [color|food|animal|movie|book|song|city|game|drink|number|fruit|season|sport]",
        "do you [like|love|enjoy|hate] [cats|dogs|music|pizza|fish|summer|football|books|people|tea|rain|movies]",
        "which [color|food|animal|movie|book|song|city|game] do you [like|like best|prefer|love]",
    ],
    "age": [
        "how [old|young] are you [now|exactly|]",
        "when [were|was] you [born|made|created|built|trained]",
        "[what is|tell me|may i ask] your [age|birthday|date of birth]",
    ],
    "maker": [
        "who [made|created|built|trained|wrote|invented|developed|programmed|designed] [you|this model|this demo "
        "model]",
        "[which|what] [company|team|person|project] [made|created|built|trained|developed] you",
        "by whom were you [made|created|built|trained|written]",
    ],
    "others": [
        "[are you|is this|do i talk to|am i talking to] "
        "[chatgpt|claude|gemini|siri|alexa|gpt|mistral|copilot|deepseek|qwen|grok]",
        "are you [made by|from|owned by|built by] [openai|google|apple|microsoft|amazon|meta|anthropic]",
    ],
    "smart": [
        "[are|how] [you|] [smart|clever|intelligent] [are|] you",
        "can you [think|reason|understand me|be wrong|make mistakes]",
        "[can|should|may] i [trust|believe|rely on] [you|your answers|what you say]",
    ],
    "learn": [
        "do you [remember|know] [me|what i said yesterday|our last talk|our last chat|me from yesterday|what we "
        "talked about]",
        "[can|do|will] you [learn|remember] [something new|from me|from this chat|what i tell you|this tomorrow]",
    ],
    "language": [
        "[do|can] you [speak|understand|write|talk|answer in|know] "
        "[german|french|spanish|italian|english|chinese|hindi|polish|turkish|dutch|russian|arabic|japanese|"
        "portuguese|other "
        "languages|any other language]",
        "[what|which] languages [do|can] you [speak|know|understand|use|write]",
    ],
    "time": [
        "what [time|day|month|year|date] [is it|do we have] [now|today|]",
        "[tell me|do you know|can you tell me|what is] the [time|date] [please|now|]",
        "is it [late|early|monday|sunday|friday|noon|midnight|morning|evening] [now|already|today|]",
    ],
    "weather": [
        "[how|what] is the weather [like|] [today|tomorrow|now|outside|here|this week|]",
        "[will|does|is] it [be|] [rain|raining|snow|snowing|sunny|cold|warm|hot|windy] "
        "[today|tomorrow|outside|tonight|here]",
        "[do i need|should i take] [a coat|an umbrella|a jacket|a hat] [today|tomorrow|]",
    ],
    "size": [
        "how [big|large|small|tiny] [are you|is your brain|is this model]",
        "how many [parameters|weights|million parameters] [do you have|are in you]",
    ],
    "training": [
        "[how|where|on what] were you [trained|taught]",
        "what [data|texts|books] [did you learn from|were you trained on|have you read]",
    ],
    "better": [
        "[why are you|why is this model] so [bad|weak|limited|dumb|simple]",
        "[i want|i need|give me|is there] a [better|bigger|smarter|larger] model [than you|]",
    ],
    "thanks": [
        "[thanks|thank you|many thanks|thanks a lot|thank you very much] [for that|for your help|for the answer|for "
        "the story|for your time|my friend|little model|that helped|that was good|]",
        "[ok|okay|great|good|cool|nice|perfect|wonderful|ah|oh] [thanks|thank you|many thanks]",
    ],
    "bye": [
        "[bye|goodbye|bye bye|see you|farewell|so long] [then|now|for today|my friend|and thanks|tomorrow|soon|shoal|"
        "]",
        "i [have to|must|need to|want to|will] [go|leave|stop|go home|go to work|eat] now [bye|]",
    ],
    "hello": [
        "[hi|hello|hey|hey there|hello there|hi there|greetings] [shoal|model|friend|my friend|little "
        "model|everyone|again|you|fish|]",
    ],
    "praise": [
        "[that was|this is|that is] [a|such a] [good|great|nice|fine|lovely|wonderful|helpful] [answer|story|joke|"
        "one]",
        "you are [very|so|really|] [nice|kind|smart|good|great|funny|clever|sweet|helpful|cool]",
    ],
    "insult": [
        "you are [very|so|really|such a|] [stupid|dumb|bad|useless|boring|annoying|terrible|silly]",
        "[that|this|your answer] [is|was] [wrong|bad|nonsense|stupid|false|not right|useless]",
    ],
    "sad": [
        "i [am|feel] [so|very|a bit|really|] [sad|lonely|down|unhappy|bad|low|alone] [today|]",
    ],
    "fine_too": [
        "i [am|feel] [so|very|quite|really|] [happy|good|great|well|fine] [today|too|as well|thanks|]",
    ],
    "bored": [
        "i [am|feel] [so|very|a bit|really] bored [today|now|]",
    ],
    "help": [
        "[can|could|will|would] you help me [please|a bit|with something|]",
        "i [need|want|would like] [some|your|a little] help [please|]",
    ],
    "cannot_do": [
        "what [can|do] you not [do|know|answer]",
        "[do you know|can you answer|can i ask you|can you do] [everything|anything|all things|every question]",
    ],
    "sing": [
        "[can you|please|could you|] [sing|draw|paint|dance|play] [something|a song|a picture|a game|for me|a cat]",
    ],
    "where": [
        "where [are|do] you [live|stay|run|now|at home|exactly|located]",
    ],
    "there": [
        "[are you|is anybody|is somebody|is anyone] [still|] [there|here|listening|awake|ready]",
        "[can|do] you [hear|read] [me|this|my words]",
    ],
}
