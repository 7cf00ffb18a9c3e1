"""A client of the API that looks closely: every token of a streamed completion with its logprob, when each came, and how the
stream ended, down to whether HTTP's own end was there."""
import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass

# How a stream may end.
WHOLE = "whole"      # with its end and [DONE]
ERROR = "error"      # with a typed error: in the stream, or as the HTTP status
BROKEN = "broken"    # the connection ended in the middle of HTTP's body: any client sees that
SILENT = "silent"    # HTTP says that all is well, and there was neither [DONE] nor an error: never
HUNG = "hung"        # nothing came for too long
EXACT, WRONG = "exact", "wrong"  # a whole answer, compared with the undisturbed one


@dataclass(frozen=True)
class Expected:
    """An undisturbed answer, and how fast it came."""
    tokens: tuple  # (text, logprob) each
    text: str
    finish: str
    token_s: float        # between tokens, in the mean
    longest_gap_s: float


def tokens_of(choice):
    """(text, logprob) of the tokens in an event."""
    logprobs = choice.get("logprobs") or {}
    if "content" in logprobs:
        return [(entry["token"], entry["logprob"]) for entry in logprobs["content"]]
    return list(zip(logprobs.get("tokens", ()), logprobs.get("token_logprobs", ())))


class Broken(Exception):
    pass


class Answer:
    """A completion that is being streamed, read on a thread of its own from the moment it is made."""

    def __init__(self, api, request, silence_s=100, key=None, after=None):
        """`key`: an idempotency key. `after`: the answer with this key that broke off, of which this is the rest; what had
        come of it counts as ours."""
        self.request, self.key, self.after_id = request, key, after.last_id if after else None
        self.tokens, self.text, self.finish = list(after.tokens) if after else [], after.text if after else "", None
        self.last_id = self.after_id  # of the last event that has one
        self.arrivals = []  # when tokens came, one entry an event
        self.outcome, self.why = None, ""
        self._changed = threading.Condition()
        self._done = False
        self._connection = None
        self.asked_at = time.monotonic()
        self._thread = threading.Thread(target=self._read, args=(api, silence_s), daemon=True)
        self._thread.start()

    @property
    def ended(self):
        return self.outcome is not None

    def wait_tokens(self, count, seconds=100):
        """Until there are so many tokens, or the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.tokens) >= count or self.ended, seconds)

    def wait(self, seconds):
        """Until it has ended; one that does not is given up, and has hung."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._end(HUNG, f"not at its end after {seconds:.0f} s, with {len(self.tokens)} tokens")
            with contextlib.suppress(OSError, AttributeError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._thread.join(10)
        return self

    # --- what came, beside what should have come ---

    def expected(self):
        """Of an undisturbed answer."""
        if self.outcome != WHOLE or not self.tokens:
            raise AssertionError(f"the undisturbed answer: {self.outcome}: {self.why}")
        gaps = [after - before for before, after in zip(self.arrivals, self.arrivals[1:])]
        return Expected(tuple(self.tokens), self.text, self.finish,
                        (self.arrivals[-1] - self.arrivals[0]) / max(len(self.tokens) - 1, 1), max(gaps, default=0))

    def compared(self, expected):
        """(EXACT, ""), or how else it ended and why. Whatever came must be how the undisturbed answer begins."""
        for index, token in enumerate(self.tokens):
            if index >= len(expected.tokens) or token != expected.tokens[index]:
                due = expected.tokens[index] if index < len(expected.tokens) else "nothing"
                return WRONG, f"token {index} is {token} and not {due}"
        if not expected.text.startswith(self.text):
            return WRONG, f"the text {self.text!r} does not begin {expected.text!r}"
        if self.outcome != WHOLE:
            return self.outcome, f"{self.why}; {len(self.tokens)} of {len(expected.tokens)} tokens had come"
        if (tuple(self.tokens), self.text, self.finish) != (expected.tokens, expected.text, expected.finish):
            return WRONG, f"it ended ({self.finish}) after {len(self.tokens)} of {len(expected.tokens)} tokens"
        return EXACT, ""

    def pause_s(self, since=None):
        """The longest time without a token that ended after `since` (default: ever); None when none came after it."""
        since = self.asked_at if since is None else since
        before = max((at for at in self.arrivals if at <= since), default=max(since, self.asked_at))
        times = [before, *(at for at in self.arrivals if at > since)]
        return max((b - a for a, b in zip(times, times[1:])), default=None)

    def paused(self, begin, end):
        """Whether no token came in this time, and some came later."""
        return not any(begin < at <= end for at in self.arrivals) and any(at > end for at in self.arrivals)

    # --- reading ---

    def _read(self, api, silence_s):
        try:
            with socket.create_connection(api, timeout=silence_s) as connection:
                self._connection = connection
                self._ask(connection, api)
                with connection.makefile("rb") as file:
                    self._answer(file)
        except TimeoutError:
            self._end(HUNG, f"nothing came for {silence_s} s")
        except (OSError, Broken) as error:
            self._end(BROKEN, f"the connection broke: {error or type(error).__name__}")

    def _ask(self, connection, api):
        chat = "messages" in self.request
        path = "/v1/chat/completions" if chat else "/v1/completions"
        body = json.dumps({**self.request, "stream": True, "logprobs": True if chat else 0}).encode()
        asked = {"Idempotency-Key": self.key, "Last-Event-ID": self.after_id}
        headers = "".join(f"{name}: {value}\r\n" for name, value in asked.items() if value)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {api[0]}:{api[1]}\r\nContent-Type: application/json\r\n{headers}"
                           f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    def _answer(self, file):
        status = file.readline().split()
        headers = {}
        for line in iter(file.readline, b"\r\n"):
            if not line:
                raise Broken("in the head")
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip().lower()
        if status[1:2] != [b"200"]:
            text = file.read(int(headers.get(b"content-length", 0))).decode(errors="replace")
            return self._end(ERROR, f"HTTP {status[1].decode() if len(status) > 1 else '?'}: {text}")
        events = b""
        for piece in self._chunks(file):
            events += piece
            *whole, events = events.split(b"\n\n")
            for event in whole:
                self._take(event)
        if self._done and self.finish:
            self._end(WHOLE, "")
        else:
            self._end(SILENT, "the stream ended as if it were whole")

    @staticmethod
    def _chunks(file):
        while True:
            line = file.readline()
            if not line.endswith(b"\r\n"):
                raise Broken("between chunks")
            size = int(line.split(b";")[0], 16)
            data = file.read(size + 2)
            if len(data) != size + 2:
                raise Broken("in a chunk")
            if size == 0:
                return
            yield data[:size]

    def _take(self, event):
        fields = [line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":")]  # those are comments
        lines = dict(field for field in fields if len(field) == 2)
        if b"data" not in lines:
            return
        if lines[b"data"] == b"[DONE]":
            self._done = True
            return
        data = json.loads(lines[b"data"])
        if "error" in data:
            return self._end(ERROR, f"{data['error'].get('code')}: {data['error'].get('message')}")
        for choice in data["choices"]:
            fresh = tokens_of(choice)
            with self._changed:
                if fresh:
                    self.arrivals.append(time.monotonic())
                self.tokens += fresh
                self.text += choice["text"] if "text" in choice else choice["delta"].get("content", "")
                self.finish = choice["finish_reason"] or self.finish
                self.last_id = lines[b"id"].decode() if b"id" in lines else self.last_id
                self._changed.notify_all()

    def _end(self, outcome, why):
        with self._changed:
            if not self.ended:
                self.outcome, self.why = outcome, why
            self._changed.notify_all()
