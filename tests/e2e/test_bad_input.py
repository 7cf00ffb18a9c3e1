"""Bad input: one line that says what is wrong, a non-zero exit, nothing lost, no crash."""

import json
import pathlib
import shutil
import socket
import struct
import unittest

from shoal import HttpError, Shoal, ShoalTestCase, model, run

NO_CRASH = 1  # the exit code of an error that was told; a crash ends by a signal, a usage error with 2


class BadFiles(ShoalTestCase):
    """A model file that cannot work is told by every verb that reads it."""

    def refused(self, path, pattern):
        state = self.temporary_directory()
        for verb in (["model", "inspect", path], ["model", "cut", path, "--layers", "0:1", "--out", state / "out.gguf"],
                     ["serve", "--model", path, "--listen", "127.0.0.1:0", "--cluster", "127.0.0.1:0", "--state",
                      state / "coordinator", "--no-mdns"],
                     ["run", "--model", path, "--prompt", "x"]):
            with self.subTest(verb=verb[0], file=pathlib.Path(path).name):
                done = run(*verb, seconds=20)
                self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""), done.stderr)
                self.assertRegex(done.stderr, r"\Ashoal: [^\n]*" + pattern + r"[^\n]*\n\Z")
        self.assertFalse((state / "out.gguf").exists())

    def damaged(self, change, **options):
        """A copy of a model, changed by change(bytearray)."""
        content = bytearray(pathlib.Path(model(**options)).read_bytes())
        result = change(content)
        path = self.temporary_directory() / "damaged.gguf"
        path.write_bytes(content if result is None else result)
        return path

    def test_no_such_file(self):
        self.refused("/nowhere/model.gguf", "cannot open /nowhere/model.gguf")

    def test_a_directory(self):
        self.refused(self.temporary_directory(), "")

    def test_no_gguf(self):
        for content in (b"", b"GGU", b"#!/bin/sh\necho hello\n", bytes(range(256)) * 64):
            self.refused(self.damaged(lambda _, content=content: content), "is not a GGUF file")

    def test_truncated(self):
        """Cut off anywhere: in the header, the metadata, the tensor table, the tensors, by one byte."""
        whole = pathlib.Path(model()).stat().st_size
        for length in (20, 300, 400_000, whole // 2, whole - 1):
            self.refused(self.damaged(lambda content, n=length: content[:n]), "corrupt or truncated")

    def test_lying_counts(self):
        """Counts beyond all reason take no memory."""
        def with_count(offset, count):
            return lambda content: content.__setitem__(slice(offset, offset + 8), struct.pack("<Q", count))

        for offset in (8, 16):  # tensors, metadata
            for count in (2**63, 2**32, 10**9):
                self.refused(self.damaged(with_count(offset, count)), "corrupt|more than|unsupported")

    def test_corrupt_tensor_table(self):
        """A tensor's offset, dimension or type that cannot be."""
        def patch(position, value, size):
            def change(content):
                at = content.index(b"blk.3.attn_q.weight") + len(b"blk.3.attn_q.weight")
                content[at + position:at + position + size] = value.to_bytes(size, "little")
            return change

        # behind the name: u32 dimensions, u64 each, u32 type, u64 offset
        for position, value, size in ((0, 900, 4), (4, 2**62, 8), (4, 255, 8), (20, 4711, 4), (24, 2**60, 8), (24, 7, 8)):
            self.refused(self.damaged(patch(position, value, size)), "damaged.gguf")

    def test_architecture_that_cannot_be_cut(self):
        """An architecture that is not known to be cuttable is named, with those that are."""
        def rename(content):
            return bytes(content).replace(b"llama", b"mamba")

        self.refused(self.damaged(rename), "its architecture 'mamba' cannot be cut.*llama")

    def test_version_of_the_format(self):
        self.refused(self.damaged(lambda content: content.__setitem__(slice(4, 8), struct.pack("<I", 77))), "77")

    def test_missing_part_of_a_split_set(self):
        folder = self.temporary_directory() / "split"
        shutil.copytree(pathlib.Path(model(split=3)).parent, folder)
        parts = sorted(folder.iterdir())
        parts[1].unlink()
        self.refused(parts[0], "00002-of-00003")

    def test_weights_that_are_no_numbers(self):
        """A file whose table is right and whose weights are not: told when the stage is loaded, not answered with."""
        def spoil(content):
            at = len(content) - 200_000
            content[at:at + 100_000] = b"\xff" * 100_000  # as scales of Q4_0 blocks: NaN

        path = self.damaged(spoil)
        with Shoal(path, nodes=1, wait=False, serve_args=["--plan-wait", 1]) as shoal:
            status = shoal.wait_status(lambda status: "damaged" in status["why_no_plan"], "the reason")
            self.assertEqual(status["state"], "no plan")
            self.assertIn("node-1", status["why_no_plan"])
            with self.assertRaises(HttpError) as caught:
                shoal.completion("x")
            self.assertEqual((caught.exception.status, caught.exception.error["code"]), (503, "no_feasible_plan"))
            self.assertEqual(caught.exception.error["message"], status["why_no_plan"])
            self.assertNotIn("\n", status["why_no_plan"])
            self.assertTrue(shoal.coordinator.running() and shoal.nodes[0].running())
        for nodes in (1, 3):
            done = run("run", "--model", path, "--nodes", nodes, "--prompt", "x", "--context", 256, "--log", "off", seconds=30)
            self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""))
            self.assertRegex(done.stderr, r"\Ashoal: [^\n]*damaged[^\n]*\n\Z")


class BadCuts(ShoalTestCase):
    def refused(self, path, layers, pattern):
        out = self.temporary_directory() / "shard.gguf"
        done = run("model", "cut", path, "--layers", layers, "--out", out)
        self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""))
        self.assertRegex(done.stderr, r"\Ashoal: [^\n]*" + pattern + r"[^\n]*\n\Z")
        self.assertFalse(out.exists())

    def test_ranges(self):
        for layers in ("5", "3:3", "5:2", "0:9", "a:b", "-1:4", "0:4x", ""):
            with self.subTest(layers=layers):
                self.refused(model(), layers, "layers|range")

    def test_forbidden_by_the_architecture(self):
        """gemma3: every stage needs a layer with a sliding window, so none begins with layer 5; the neighbours are named."""
        gemma = model("gemma3", type="Q8_0", layers=24, window=64)
        facts = json.loads(run("model", "inspect", gemma, "--json").stdout)
        self.assertEqual([cut for cut in range(25) if cut not in facts["allowed_cuts"]], [5, 11, 17, 23])
        self.refused(gemma, "0:5", "cannot be cut before layer 5.*4 or 6")

    def test_cut_of_a_shard(self):
        shard = self.temporary_directory() / "shard.gguf"
        self.assertEqual(run("model", "cut", model(), "--layers", "0:4", "--out", shard).returncode, 0)
        self.refused(shard, "0:2", "shard")


class TooLittle(ShoalTestCase):
    def test_memory_on_all_nodes(self):
        """Too little memory on all nodes together: the status says how much is missing, and a node more mends it."""
        shoal = self.start(model(), nodes=2, memory="8MiB", wait=False, context=512)
        status = shoal.wait_status(lambda status: "missing" in status["why_no_plan"], "the reason")
        self.assertEqual(status["state"], "no plan")
        self.assertRegex(status["why_no_plan"], r"needs .*MiB.* 2 nodes offer .*MiB missing; add a node")
        self.assertIn(status["why_no_plan"], run("status", "--state", shoal.state).stdout)
        with self.assertRaises(HttpError) as caught:
            shoal.get("/health")
        self.assertEqual(caught.exception.status, 503)
        waiting = shoal.stream_completion("Once upon a time")
        shoal.wait_status(lambda status: status["sequences_waiting"] == 1, "the request waiting")
        shoal.add_node(memory="1GiB")
        self.assertGreater(len(waiting.finish()), 0)

    def test_memory_for_shoal_run(self):
        done = run("run", "--model", model(), "--nodes", 2, "--memory", "5MiB", "--prompt", "x", "--log", "off", seconds=30)
        self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""))
        self.assertRegex(done.stderr, r"\Ashoal: [^\n]*MiB missing; add a node or lower --context\n\Z")

    def test_prompt_for_shoal_run(self):
        """A prompt longer than the context: both numbers."""
        done = run("run", "--model", model(), "--context", 32, "--prompt", "one two three " * 30)
        self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""))
        self.assertRegex(done.stderr, r"\Ashoal: the prompt has \d+ tokens, the context 32: [^\n]*\n\Z")


class TakenPorts(ShoalTestCase):
    def setUp(self):
        super().setUp()
        self.taken = socket.socket()
        self.addCleanup(self.taken.close)
        self.taken.bind(("127.0.0.1", 0))
        self.taken.listen()
        self.address = "127.0.0.1:%d" % self.taken.getsockname()[1]

    def refused(self, *arguments, pattern="in use"):
        done = run(*arguments, seconds=20)
        self.assertEqual((done.returncode, done.stdout), (NO_CRASH, ""))
        self.assertRegex(done.stderr, r"\Ashoal: [^\n]*" + pattern + r"[^\n]*\n\Z")
        self.assertIn(self.address, done.stderr)

    def serve(self, listen, cluster):
        return ["serve", "--model", model(), "--listen", listen, "--cluster", cluster, "--state",
                self.temporary_directory(), "--no-mdns"]

    def test_api(self):
        self.refused(*self.serve(self.address, "127.0.0.1:0"))

    def test_cluster(self):
        self.refused(*self.serve("127.0.0.1:0", self.address))

    def test_node(self):
        with Shoal(model(), nodes=0) as shoal:
            self.refused("join", shoal.token(), "--listen", self.address, "--state", self.temporary_directory())


if __name__ == "__main__":
    unittest.main()
