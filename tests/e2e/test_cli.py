"""What a person gets from the verbs: output, exit codes, one clear line when something is wrong."""

import json
import re
import unittest

from shoal import ShoalTestCase, model, run

VERBS = [[], ["serve"], ["join"], ["token"], ["token", "create"], ["status"], ["chat"], ["run"], ["model"],
         ["model", "inspect"], ["model", "cut"], ["discover"]]


class WithoutAShoal(ShoalTestCase):
    def test_help_of_every_verb(self):
        """--help prints the usage on stdout and ends with 0."""
        for verb in VERBS:
            with self.subTest(verb=verb):
                done = run(*verb, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("Usage:", done.stdout)

    def test_usage_errors_end_with_2(self):
        """What is no valid command line ends with 2 and says so on stderr, nothing on stdout."""
        wrong = [[], ["swim"], ["serve"], ["run", "--model", "x"], ["run", "--model", "x", "--prompt", "y", "--nodes", "0"],
                 ["join", "--memory", "plenty"], ["status", "--nonsense"], ["token", "create", "--minutes", "0"]]
        for arguments in wrong:
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertNotEqual(done.stderr, "")

    def test_no_coordinator(self):
        """Verbs that talk to a coordinator say in one line that none has run here."""
        state = self.temporary_directory()
        for verb in (["status"], ["token", "create"], ["chat", "hello"]):
            with self.subTest(verb=verb):
                done = run(*verb, "--state", state)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, r"\Ashoal: no coordinator has run with .*shoal serve.*\n\Z")

    def test_version(self):
        self.assertRegex(run("--version").stdout, r"\Ashoal \d+\.\d+\.\d+\n\Z")

    def test_inspect(self):
        """`model inspect` as text and as JSON says what the model is and where it can be cut."""
        path = model()
        text = run("model", "inspect", path)
        self.assertEqual(text.returncode, 0, text.stderr)
        for word in ("llama", "Q4_0", "8, 256 wide", "cuts", "memory"):
            self.assertIn(word, text.stdout)
        facts = json.loads(run("model", "inspect", path, "--json", "--context", 1024).stdout)
        self.assertEqual((facts["architecture"], facts["layer_count"], len(facts["layers"])), ("llama", 8, 8))
        self.assertEqual(facts["allowed_cuts"], list(range(9)))
        # f16 KV: 2 (K and V) x 4 heads x 32 x 2 bytes a token and layer
        self.assertEqual(facts["layers"][0]["kv_bytes"], 1024 * 2 * 4 * 32 * 2)

    def test_cut(self):
        """`model cut` writes a shard that `model inspect` knows as one."""
        out = self.temporary_directory() / "shard.gguf"
        done = run("model", "cut", model(), "--layers", "2:5", "--out", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        facts = json.loads(run("model", "inspect", out, "--json").stdout)
        self.assertEqual((facts["layer_count"], facts["shard_of_layers"]), (3, [2, 5]))

    def test_run_prints_the_completion_alone(self):
        """`shoal run`: stdout is the completion and a newline, stderr is empty; with --stats it has one line more."""
        done = run("run", "--model", model(), "--nodes", 2, "--prompt", "Once", "--max-tokens", 8, "--context", 256)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.endswith("\n"))
        told = run("run", "--model", model(), "--nodes", 2, "--prompt", "Once", "--max-tokens", 8, "--context", 256,
                   "--stats")
        self.assertEqual(told.stdout, done.stdout)
        self.assertRegex(told.stderr, r"\A\[\d+ prompt tokens in \d+ ms, \d+ tokens at [\d.]+ tokens/s\]\n\Z")


class WithAShoal(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.share(model(chat_template=True), nodes=2)

    def test_status_text(self):
        """`shoal status` shows the model, the nodes by name, the plan's layers and the exactness line."""
        done = run("status", "--state", self.shared.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        status = self.shared.status()
        for text in ("node-1", "node-2", "serving", status["exactness"], status["model"]["name"], "0-", "direct"):
            self.assertIn(text, done.stdout)
        self.assertEqual(json.loads(run("status", "--state", self.shared.state, "--json").stdout)["state"], "serving")

    def test_token(self):
        """`shoal token create` prints the link alone where stdout is no terminal; --qr adds the code."""
        done = run("token", "create", "--state", self.shared.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\Ashoal://127\.0\.0\.1:\d+/join\?c=[\w-]{43}&s=[\w-]{22}\n\Z")
        self.assertIn("█", run("token", "create", "--state", self.shared.state, "--qr").stdout)

    def test_chat_one_question(self):
        """`shoal chat QUESTION` prints what the API answers."""
        done = run("chat", "--state", self.shared.state, "--temperature", 0, "--max-tokens", 12, "Who are you?")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        expected = self.shared.chat("Who are you?", max_tokens=12)["choices"][0]["message"]["content"]
        self.assertEqual(done.stdout, expected + "\n")

    def test_chat_conversation(self):
        """A conversation on standard input: a line a turn, each with what was said before."""
        done = run("chat", "--state", self.shared.state, "--temperature", 0, "--max-tokens", 12, "--system", "Be brief.",
                   "--stats", stdin="Hello\nAnd then?\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(re.findall(r"(?m)^\[\d+ tokens, first after \d+ ms, then [\d.]+ tokens/s\]$", done.stderr)), 2)
        messages = [{"role": "system", "content": "Be brief."}]
        expected = ""
        for question in ("Hello", "And then?"):
            messages.append({"role": "user", "content": question})
            answer = self.shared.chat(messages, max_tokens=12)["choices"][0]["message"]["content"]
            messages.append({"role": "assistant", "content": answer})
            expected += answer + "\n"
        self.assertEqual(done.stdout, expected)


if __name__ == "__main__":
    unittest.main()
