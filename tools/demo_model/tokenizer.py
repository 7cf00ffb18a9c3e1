"""The demo model's tokenizer: SentencePiece-style BPE with byte fallback, as llama.cpp's `tokenizer.ggml.model = llama`.

A space is written "▁" and begins a piece. No piece crosses the border of a word, digits and punctuation marks stand alone
(a mark may have its space), so that a text can be encoded word by word. What no piece covers becomes bytes. encode()
gives llama.cpp's tokens for every text: it joins the two neighbours whose joint piece has the best score until none is
left.

Nothing is put in front of a text: the chat template writes the space before a question itself, and an answer begins
without one, so that no client sees a leading space.
"""

import collections
import heapq
import json
import re

SPACE = "▁"
UNKNOWN, BEGIN, END, USER, ASSISTANT, SYSTEM = range(6)
SPECIAL = ["<unk>", "<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
BYTES_FROM = len(SPECIAL)
PIECES_FROM = BYTES_FROM + 256
# A run of letters (and apostrophes) with its space, a mark with its space, or one character of anything else.
WORD = re.compile(rf"{SPACE}?(?:[^\W\d_{SPACE}]|')+|{SPACE}?[!-&(-/:-@\[-`{{-~]|.", re.DOTALL)

# Rendered token for token as conversation() writes it.
CHAT_TEMPLATE = """{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{- '<|user|> ' + (message['content'] | trim) + '<|end|>' -}}
{%- elif message['role'] == 'system' -%}
{{- '<|system|> ' + (message['content'] | trim) + '<|end|>' -}}
{%- elif message['role'] == 'assistant' -%}
{{- '<|assistant|>' + (message['content'] | trim) + '<|end|>' -}}
{%- else -%}
{{- raise_exception('this model knows the roles system, user and assistant') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}"""


def words(text):
    return WORD.findall(text.replace(" ", SPACE))


def train(texts, size):
    """The learned pieces in the order of their merges: single characters that occur, then pairs by frequency."""
    counts = collections.Counter(word for text in texts for word in words(text))
    characters = collections.Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    # Rare characters stay bytes. Order: by frequency, then by the character, so that a rerun gives the same.
    pieces = sorted((c for c, n in characters.items() if n >= 3 and c != "\n"), key=lambda c: (-characters[c], c))
    symbols = {word: list(word) for word in counts}
    pairs, places = collections.Counter(), collections.defaultdict(set)
    for word, parts in symbols.items():
        for pair in zip(parts, parts[1:]):
            pairs[pair] += counts[word]
            places[pair].add(word)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    known = set(pieces)
    while queue and PIECES_FROM + len(pieces) < size:
        count, pair = heapq.heappop(queue)
        if pairs[pair] != -count:
            if pairs[pair] > 0:
                heapq.heappush(queue, (-pairs[pair], pair))
            continue
        if -count < 2:
            break
        joint = pair[0] + pair[1]
        if joint not in known:
            known.add(joint)
            pieces.append(joint)
        for word in sorted(places.pop(pair)):
            old = symbols[word]
            new, i = [], 0
            while i < len(old):
                if i + 1 < len(old) and (old[i], old[i + 1]) == pair:
                    new.append(joint)
                    i += 2
                else:
                    new.append(old[i])
                    i += 1
            for gone in zip(old, old[1:]):
                pairs[gone] -= counts[word]
            symbols[word] = new
            for come in zip(new, new[1:]):
                pairs[come] += counts[word]
                places[come].add(word)
                heapq.heappush(queue, (-pairs[come], come))
    return pieces


class Tokenizer:
    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.ids = {piece: PIECES_FROM + i for i, piece in enumerate(self.pieces)}
        self.size = PIECES_FROM + len(self.pieces)
        self.end = END
        self._cache = {}

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.pieces, file, ensure_ascii=False, indent=0)

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def encode(self, text, rng=None, drop=0.0):
        """With `drop`, each join is left out with this chance: other splits of the same words, to train with."""
        tokens = []
        for word in words(text):
            if drop and len(word) > 2:
                tokens += self._encode_word(word, rng, drop)
                continue
            known = self._cache.get(word)
            if known is None:
                known = self._cache[word] = self._encode_word(word)
            tokens += known
        return tokens

    def _encode_word(self, word, rng=None, drop=0.0):
        parts = list(word)
        while True:
            best, at = None, None
            for i in range(len(parts) - 1):
                rank = self.ids.get(parts[i] + parts[i + 1])  # an earlier piece has a better score
                if rank is not None and (best is None or rank < best) and not (drop and rng.random() < drop):
                    best, at = rank, i
            if at is None:
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        tokens = []
        for part in parts:
            token = self.ids.get(part)
            tokens += [token] if token is not None else [BYTES_FROM + byte for byte in part.encode("utf-8")]
        return tokens

    def conversation(self, turns, rng=None, drop=0.0):
        """(tokens, weights) of [(role, text), ...]: the weight is above 0 where the assistant speaks, its <|end|> included.
        A long answer weighs no more than one of 40 tokens, or stories would be most of what is learned."""
        tokens, weights = [BEGIN], [0.0]
        for role, text in turns:
            said = self.encode(text) if role == "assistant" else self.encode(" " + text, rng, drop)
            tokens += [{"user": USER, "assistant": ASSISTANT, "system": SYSTEM}[role], *said, END]
            weight = min(1.0, 40 / (len(said) + 1)) if role == "assistant" else 0.0
            weights += [0.0] + [weight] * (len(said) + 1)
        return tokens, weights

    def prompt(self, turns):
        """What the chat template makes of the turns, ready for the assistant's answer."""
        return self.conversation(turns)[0] + [ASSISTANT]

    def decode(self, tokens):
        data = b""
        for token in tokens:
            if token >= PIECES_FROM:
                data += self.pieces[token - PIECES_FROM].replace(SPACE, " ").encode("utf-8")
            elif token >= BYTES_FROM:
                data += bytes([token - BYTES_FROM])
        return data.decode("utf-8", errors="replace")

    def table(self):
        """For GGUF: (pieces, scores, types) of all tokens; types as in llama.cpp: 1 normal, 2 unknown, 3 control, 6 byte."""
        texts = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] + self.pieces
        scores = [0.0] * PIECES_FROM + [-float(i) for i in range(len(self.pieces))]
        types = [2] + [3] * (len(SPECIAL) - 1) + [6] * 256 + [1] * len(self.pieces)
        return texts, scores, types
