"""What a question is about: the first thing that training teaches.

An answer is easy to learn by heart; which answer a question wants is what a small model finds hard to learn from the
answers' words alone. So each answer has a number (its topic), and
- before the training proper, word vectors and the first block's values are trained to tell the topic from the mean over
  the question's words, which takes a minute (learn_words);
- during training a block in the middle still has to tell the topic where the answer begins (train.py).
What tells the topic (`head`) is left behind when training ends.
"""

import torch
from torch.nn import functional

import talk
import unknown

STEPS, ROWS, RATE = 500, 256, 6e-3
OUTPUT_SCALE = 0.05  # the standard deviation of what the model's output begins with


class Topics:
    """A number for each fact, each kind of small talk, what is beyond the model, stories, and anything else."""

    def __init__(self, facts):
        self.of_answer = {answer: i for i, fact in enumerate(facts) for answer in fact.answers}
        for i, intent in enumerate(talk.INTENTS.values()):
            self.of_answer.update({answer: len(facts) + i for answer in intent.answers})
        beyond, self.story, self.other = (len(facts) + len(talk.INTENTS) + i for i in range(3))
        self.count = self.other + 1
        self.of_answer.update({answer: beyond for answer in unknown.ANSWERS})

    def of(self, answer):
        return self.of_answer.get(answer, self.story if answer.endswith("The end.") else self.other)


def new_head(width, count):
    head = torch.nn.Linear(width, count)
    torch.nn.init.zeros_(head.weight)
    return head


def tell(head, hidden):
    return head(functional.layer_norm(hidden.float(), hidden.shape[-1:]))


def learn_words(model, head, tokenizer, corpus, topics, say):
    """Trains the embedding, the first block's values and its output, with an attention that is the mean over all tokens,
    and leaves them in the model with queries of zero, so that the model begins with that attention. The output begins as
    the embedding."""
    block, shape, device = model.blocks[0], model.shape, head.weight.device
    embedding = torch.nn.Parameter((torch.randn(shape.vocabulary, shape.width) * 0.3).to(device))
    values, out = (torch.nn.Parameter(torch.eye(shape.width, device=device)) for _ in range(2))
    optimizer = torch.optim.Adam([{"params": [embedding, *head.parameters()]}, {"params": [values, out], "lr": RATE / 5}], lr=RATE)
    for step in range(STEPS):
        prompts, about = [], []
        while len(prompts) < ROWS:
            (_, question), (_, answer) = corpus.part()[:2]
            prompts.append(tokenizer.prompt([("user", question)]))
            about.append(topics.of(answer))
        x = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True,
                                            padding_value=-1).to(device)
        present = (x >= 0).unsqueeze(-1)
        x = embedding[x.clamp(min=0)]
        normal = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + shape.epsilon)
        mean = (normal * present).sum(1) / present.sum(1)
        last = embedding[prompts[0][-1]]
        loss = functional.cross_entropy(tell(head, last + mean @ values.T @ out.T), torch.tensor(about, device=device))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = (RATE if len(group["params"]) > 2 else RATE / 5) * min(1.0, 2 * (1 - step / STEPS))
        optimizer.step()
        if (step + 1) % 100 == 0:
            say(f"words, step {step + 1}: topics {loss.item():.3f}")
    with torch.no_grad():
        model.embedding.weight.copy_(embedding)
        # To say a word that was read then begins as a matter of passing it on.
        model.output.weight.copy_(embedding * (OUTPUT_SCALE / embedding.std()))
        block.qkv.weight[:shape.width] = 0
        block.qkv.weight[-shape.width:] = values
        block.attention_out.weight.copy_(out)
