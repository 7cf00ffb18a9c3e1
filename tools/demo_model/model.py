"""The demo model: a small Llama (RMSNorm, rotary positions, SwiGLU).

Rotary positions turn neighbouring pairs (0,1), (2,3) ..., as llama.cpp's graph for `llama` does, so export.py writes the
matrices as they are.
"""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Shape:
    vocabulary: int
    layers: int = 8
    width: int = 192
    heads: int = 6
    ffn: int = 512
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head_width(self):
        return self.width // self.heads


class RmsNorm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


def turn(x, cosine, sine):
    """Rotates pairs of neighbours; x is (batch, heads, tokens, head width)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.attention_norm = RmsNorm(shape)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.attention_out = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = RmsNorm(shape)
        self.gate_up = nn.Linear(shape.width, 2 * shape.ffn, bias=False)
        self.down = nn.Linear(shape.ffn, shape.width, bias=False)
        self.watched, self.seen = None, None  # a head, and its attention in the last forward: (batch, tokens, tokens)

    def attention(self, x, rotation, mask):
        shape = self.shape
        batch, tokens, _ = x.shape
        q, k, v = (part.view(batch, tokens, shape.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        q, k = turn(q, *rotation) / math.sqrt(shape.head_width), turn(k, *rotation)
        weights = ((q @ k.transpose(-1, -2)).float() + mask).softmax(-1)
        if self.watched is not None:
            self.seen = weights[:, self.watched]
        out = weights.to(v.dtype) @ v
        return self.attention_out(out.transpose(1, 2).reshape(batch, tokens, -1))

    def forward(self, x, rotation, mask):
        x = x + self.attention(self.attention_norm(x), rotation, mask)
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(functional.silu(gate.float()) * up)  # silu is slow in bfloat16


class DemoModel(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape)
        self.output = nn.Linear(shape.width, shape.vocabulary, bias=False)
        angles = torch.outer(torch.arange(shape.context).float(),
                             shape.rope_base ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width))
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                last = name.endswith(("attention_out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * shape.layers) if last else 1))

    def hidden(self, tokens, tap=None):
        """The last block's output, normalised: (batch, tokens, width). With `tap`, also what block `tap` puts out."""
        count = tokens.shape[1]
        rotation = (self.cosine[:count], self.sine[:count])
        mask = torch.full((count, count), -math.inf, device=tokens.device).triu(1)
        x = self.embedding(tokens)
        tapped = None
        for i, block in enumerate(self.blocks):
            x = block(x, rotation, mask)
            tapped = x if i == tap else tapped
        return self.norm(x) if tap is None else (self.norm(x), tapped)

    def logits(self, hidden):
        return self.output(hidden)

    @torch.no_grad()
    def greedy(self, prompts, ends, tokens_max):
        """What follows each prompt (lists of tokens) until a token of `ends`; whole prefixes are computed each time."""
        texts, live = [list(prompt) for prompt in prompts], list(range(len(prompts)))
        for _ in range(tokens_max):
            if not live:
                break
            longest = max(len(texts[i]) for i in live)
            batch = torch.zeros(len(live), longest, dtype=torch.long, device=self.embedding.weight.device)
            for row, i in enumerate(live):
                batch[row, :len(texts[i])] = torch.tensor(texts[i])
            hidden = self.hidden(batch)[torch.arange(len(live)), torch.tensor([len(texts[i]) - 1 for i in live])]
            for i, best in zip(list(live), self.logits(hidden).argmax(-1).tolist()):
                texts[i].append(best)
                if best in ends or len(texts[i]) >= self.shape.context:
                    live.remove(i)
        return [text[len(prompt):] for text, prompt in zip(texts, prompts)]
