"""What is disturbed: the models, how their shoal is started, and what it is asked."""
from dataclasses import dataclass
from functools import partial

import rig  # noqa: F401  (makes bench/ importable)
from common import model, prompt
from shoal import ROOT

TOKENS = 256
SAMPLED = {"temperature": 0.8, "seed": 7}
GREEDY = {"temperature": 0}


@dataclass(frozen=True)
class Subject:
    """`prompt_of(number)`: what is asked, all different, and answered at length."""
    about: str
    file: object  # a function that gives the path
    prompt_of: object
    memory: str
    memory_of_half: str  # two nodes hold the model with it, and one does not
    context: int = 1024
    kv_tokens: int = 8192

    def settings(self, pipelines=1):
        return {"memory": self.memory if pipelines == 1 else self.memory_of_half, "context": self.context,
                "serve_args": ["--kv-tokens", self.kv_tokens, "--sequences", 8]}

    def requests(self):
        """The two that most scenarios disturb."""
        asked = {**self.prompt_of(0), "max_tokens": TOKENS}
        return {"greedy": asked | GREEDY, "sampled": asked | SAMPLED}

    def many_requests(self, count=12):
        """Of up to 48 to 224 tokens."""
        return {f"request-{i}": {**self.prompt_of(i), "max_tokens": 48 + 16 * i}
                | (GREEDY if i % 2 == 0 else SAMPLED | {"seed": 100 + i}) for i in range(count)}


HEROES = ("dog", "cat", "whale", "wizard", "dragon", "robot", "fox", "king", "bird", "ghost", "snowman", "pirate")


def demo_prompt(number):
    """Its longest answers: stories of 100 to 136 tokens, which end by themselves."""
    return {"messages": [{"role": "user", "content": f"Tell me a story about a {HEROES[number % len(HEROES)]}."}]}


SUBJECTS = {
    "demo": Subject("the demo model, Q8_0", lambda: str(ROOT / "models" / "shoal-demo.gguf"), demo_prompt, "1GiB",
                    "45MiB"),
    "1.1b": Subject("1.1B Llama shape, Q4_0, random weights", partial(model, "llama-1.1b-q4_0", "--preset", "llama-1.1b"),
                    lambda number: {"prompt": prompt(16 + 8 * number, number)}, "1GiB", "600MiB"),
}
