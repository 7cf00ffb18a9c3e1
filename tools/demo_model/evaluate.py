#!/usr/bin/env python3
"""make demo-model-eval: asks the demo model what it never saw in training, through real shoals of four, one and eight nodes.

The questions are heldout/*.txt, greedy, each in a conversation of its own. Counted are the answers that hold the key facts
(texts.right), the refusals of what it cannot know, small talk, and the stories: every word known from the corpus, an
ending, the subject named. Every answer must be the same, byte for byte, on every number of nodes.

Ends with 0 when at least 90 % of the questions about Shoal are answered right, 95 % of the stories are good, and all
answers are the same. Standard library only. SHOAL_BIN is the folder of the programs (default: build/release/bin).
"""

import argparse
import pathlib
import re
import sys
import time

import stories
import story_subjects
import texts
from corpus import Corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from shoal import Shoal, in_parallel  # noqa: E402  pylint: disable=wrong-import-position

QUESTIONS_MIN, STORIES_MIN = 0.90, 0.95
AT_ONCE = 8
LISTED_MAX = 60  # wrong answers of each kind in the report
ANSWER_TOKENS_MAX = 256
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def ask_all(model, nodes, questions):
    """The answers, each a text and why it ended; several at once, which changes no bit of them."""
    answers = [None] * len(questions)

    def worker(first):
        for i in range(first, len(questions), AT_ONCE):
            body = {"messages": [{"role": "user", "content": questions[i]}], "temperature": 0, "max_tokens": ANSWER_TOKENS_MAX}
            choice = shoal.post("/v1/chat/completions", body, seconds=300)["choices"][0]
            answers[i] = (choice["message"]["content"], choice["finish_reason"])

    with Shoal(model, nodes=nodes, context=512, serve_args=["--kv-tokens", 512 * AT_ONCE]) as shoal:
        start = time.monotonic()
        in_parallel([lambda first=first: worker(first) for first in range(AT_ONCE)])
        status = shoal.status()
        stages = len(status["plan"]["stages"])
        print(f"{len(questions)} questions on {nodes} nodes, {stages} stages: {time.monotonic() - start:.0f} s", file=sys.stderr)
    if stages != nodes:
        raise SystemExit(f"the plan has {stages} stages on {nodes} nodes: the model is cut otherwise than this test wants")
    return answers


def known_words():
    """All words that the corpus says, in lower case."""
    corpus = Corpus(12345)
    said = [text for _ in range(20000) for _, text in corpus.conversation()]
    said += [stories.story(corpus.rng, subject)[1] for subject in story_subjects.SUBJECTS for _ in range(10)]
    return {word.lower() for text in said for word in WORD.findall(text)}


def load_stories():
    """[(request, subject), ...]"""
    found = []
    for line in (texts.HERE / "heldout" / "stories.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("ask:"):
            ask, _, subject = line[4:].partition("| subject:")
            found.append((ask.strip(), subject.strip()))
    return found


def fault_of_story(request, text, subject, known):
    """What is wrong with a story, or nothing."""
    unknown = sorted({word for word in WORD.findall(text) if word.lower() not in known and word not in request})
    if unknown:
        return "no words: " + ", ".join(unknown)
    if not stories.ends_well(text):
        return "no ending"
    return "" if stories.names_subject(text, subject) else f"no {subject} in it"


def judge(groups, answers):
    """[(name, right, of, [what is wrong, ...]), ...] and the answers, group by group."""
    rows, known, at = [], None, 0
    for name, asked in groups:
        wrong = []
        for (question, wanted), (answer, ended) in zip(asked, answers[at:at + len(asked)]):
            if name == "stories":
                known = known or known_words()
                fault = fault_of_story(question, answer, wanted, known)
            else:
                fault = "" if texts.right(answer, wanted) else f"not in it: {wanted}"
            if ended != "stop":
                fault = fault or "it does not end"
            if fault:
                wrong.append(f"{question}\n    {answer}\n    ({fault})")
        rows.append((name, len(asked) - len(wrong), len(asked), wrong))
        at += len(asked)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models" / "shoal-demo.gguf")
    parser.add_argument("--nodes", type=int, nargs="+", default=[4, 1, 8], help="the first is judged, the others compared")
    parser.add_argument("--report", type=pathlib.Path, help="write the results here as well")
    options = parser.parse_args()

    keys = {fact.name: fact.key for fact in texts.load_facts()}
    groups = [("questions about Shoal", texts.load_heldout("questions", keys)), ("stories", load_stories()),
              ("small talk", texts.load_heldout("talk")), ("beyond it", texts.load_heldout("unknown"))]
    questions = [question for _, asked in groups for question, _ in asked]
    answers = ask_all(options.model, options.nodes[0], questions)
    differing = {}
    for nodes in options.nodes[1:]:
        differing[nodes] = sum(a != b for a, b in zip(answers, ask_all(options.model, nodes, questions)))

    rows = judge(groups, answers)
    lines = [f"{name}: {right} of {of} right ({right / of * 100:.1f} %)" for name, right, of, _ in rows]
    lines += [f"on {nodes} nodes: {len(questions) - count} of {len(questions)} answers the same as on {options.nodes[0]}"
              for nodes, count in differing.items()]
    share = {name: right / of for name, right, of, _ in rows}
    good = share["questions about Shoal"] >= QUESTIONS_MIN and share["stories"] >= STORIES_MIN and not any(differing.values())
    lines.append("passed" if good else f"FAILED: wanted are {QUESTIONS_MIN * 100:.0f} % of the questions, "
                 f"{STORIES_MIN * 100:.0f} % of the stories, and the same answers everywhere")
    details = [f"\nWrong, {name} (the first {len(wrong[:LISTED_MAX])} of {len(wrong)}):\n" +
               "\n".join("- " + text for text in wrong[:LISTED_MAX]) for name, _, _, wrong in rows if wrong]
    print("\n".join(details + [""] + lines))
    if options.report:
        options.report.write_text("\n".join(
            ["Held-out evaluation of models/shoal-demo.gguf: make demo-model-eval.", "", *lines, *details]) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
