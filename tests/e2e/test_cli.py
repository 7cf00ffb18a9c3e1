"""What a person gets from the verbs: output, exit codes, one clear line when something is wrong."""

import json
import os
import pathlib
import re
import signal
import subprocess
import unittest

from shoal import SHOAL, ShoalTestCase, model, run, wait_until

VERBS = [[], ["serve"], ["join"], ["token"], ["token", "create"], ["node"], ["node", "list"], ["node", "revoke"], ["status"], ["events"], ["trace"], ["chat"], ["run"], ["model"],
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
                 ["join", "--memory", "plenty"], ["status", "--nonsense"], ["token", "create", "--minutes", "0"],
                 ["node"], ["node", "revoke"], ["trace", "--seconds", "0"], ["trace", "--seconds", "61"],
                 ["events", "--since", "soon"], ["events", "--since", "0s"], ["events", "--since", "400d"], ["events", "--last", "0"],
                 ["events", "--since", "1m", "--last", "5"]]
        for arguments in wrong:
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertNotEqual(done.stderr, "")

    def test_no_coordinator(self):
        """Verbs that talk to a coordinator say in one line that none has run here."""
        state = self.temporary_directory()
        for verb in (["status"], ["events"], ["events", "--follow"], ["trace"], ["token", "create"], ["node", "list"], ["node", "revoke", "phone"], ["chat", "hello"]):
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


def stat_fields(pid):
    """What stands behind the name in /proc/PID/stat: state, parent, ...; None when there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    every = ((int(path.name), stat_fields(path.name)) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit())
    return sorted(child for child, fields in every if fields and int(fields[1]) == pid)


def descriptors(pid):
    """{descriptor: what it is} of a process: 'pipe:[123]', 'socket:[456]', a path."""
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = os.readlink(path)
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


class KilledRun(ShoalTestCase):
    """`shoal run` that is killed: its nodes end with it, and what it leaves on disk goes with the next run."""

    def setUp(self):
        super().setUp()
        self.temporary = self.temporary_directory()
        self.environment = {"TMPDIR": str(self.temporary)}

    def directories(self):
        return set(self.temporary.glob("shoal-run-*"))

    def start_run(self, nodes):
        """A run in the middle of its answer, stopped there: it cannot come to its end before it is looked at."""
        process = subprocess.Popen([SHOAL, "run", "--model", model(), "--nodes", str(nodes), "--prompt", "Once",
                                    "--max-tokens", "1900", "--context", "2048"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **self.environment})

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()

        self.addCleanup(end)
        self.assertNotEqual(process.stdout.read(1), b"")
        process.send_signal(signal.SIGSTOP)
        self.assertIsNone(process.poll())
        return process

    def short_run(self):
        done = run("run", "--model", model(), "--nodes", 1, "--prompt", "Once", "--max-tokens", 2, "--context", 256,
                   environment=self.environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_nothing_remains(self):
        killed = self.start_run(nodes=3)
        nodes = children(killed.pid)
        self.assertEqual(len(nodes), 3)
        # The other end of each node's standard input is the parent's alone, and nothing of the parent's is a node's.
        parents = set(descriptors(killed.pid).values()) - {"/dev/null"}
        pipes = {descriptors(node)[0] for node in nodes}
        self.assertEqual(len(pipes), 3)
        self.assertLessEqual(pipes, parents)
        for node in nodes:
            shared = {fd: what for fd, what in descriptors(node).items() if fd != 0 and what in parents | pipes}
            shared = {fd: what for fd, what in shared.items() if what != descriptors(node)[0]}  # join watches a copy
            shared = {fd: what for fd, what in shared.items() if not what.startswith("anon_inode:")}  # these have no name
            self.assertEqual(shared, {})
        [directory] = self.directories()

        killed.send_signal(signal.SIGKILL)
        killed.wait()
        wait_until(lambda: all((stat_fields(node) or "Z")[0] in "ZX" for node in nodes), "the nodes ended")
        self.assertEqual(self.directories(), {directory}, "nobody was left to remove it")
        self.short_run()
        self.assertEqual(self.directories(), set())

    def test_directories_in_use_stay(self):
        """Of other runs that go on, of somebody who has only just made one, and what is no directory."""
        living = self.start_run(nodes=1)
        fresh = self.temporary / "shoal-run-fresh0"
        fresh.mkdir()
        (self.temporary / "elsewhere").mkdir()
        (self.temporary / "elsewhere" / "lock").touch()
        link = self.temporary / "shoal-run-link00"
        link.symlink_to(self.temporary / "elsewhere")
        before = self.directories()
        self.assertEqual(len(before), 3)
        self.short_run()
        self.assertEqual(self.directories(), before)
        self.assertTrue((self.temporary / "elsewhere" / "lock").exists())
        self.assertIsNone(living.poll())
        living.send_signal(signal.SIGINT)
        living.send_signal(signal.SIGCONT)
        living.communicate(timeout=20)
        self.assertEqual(self.directories(), {fresh, link}, "a run that is interrupted removes its own")


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
