"""The peer: what a client of llama.cpp over its RPC gets when one of four servers is killed."""
import os
import select
import signal
import subprocess
import tempfile
import time

import rig  # noqa: F401  (makes bench/ importable)
import processes
from llama_cpp import RpcServers, llama_tools
from subjects import TOKENS

SERVERS = 4
PATIENCE_S = 300
PROMPT = "Once upon a time"


def client(tools, gguf, servers, complaints):
    return processes.start(
        [os.path.join(tools, "llama-completion"), "-m", gguf, "-t", "1", "-c", "1024", "-p", PROMPT, "-n", str(TOKENS),
         "--temp", "0", "--ignore-eos", "-no-cnv", "--no-display-prompt", *servers.arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)


def read(process, until=None):
    """What it prints: all, or at least `until` bytes; of one that hangs, what came until then."""
    text = b""
    while until is None or len(text) < until:
        if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
            break
        more = os.read(process.stdout.fileno(), 65536)
        if not more:
            break
        text += more
    return text


def ended(process):
    """How it ended."""
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"hung for {PATIENCE_S} s"
    finally:
        process.stdout.close()
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def rpc(gguf):
    """llama.cpp's client over RPC, one of its servers killed"""
    tools = llama_tools()
    with RpcServers(tools, SERVERS) as servers, tempfile.TemporaryFile() as complaints:
        process = client(tools, gguf, servers, complaints)
        whole = read(process)
        how = ended(process)
        if how != "ended with exit code 0" or not whole:
            raise AssertionError(f"llama.cpp's undisturbed answer: {how}: {last_lines(complaints)[-3:]}")
    with RpcServers(tools, SERVERS) as servers, tempfile.TemporaryFile() as complaints:
        process = client(tools, gguf, servers, complaints)
        text = read(process, len(whole) // 3)
        struck_at = time.monotonic()
        os.kill(servers.processes[1].pid, signal.SIGKILL)
        text += read(process)
        how, after_s = ended(process), time.monotonic() - struck_at
        said = next((line.strip() for line in last_lines(complaints)
                     if any(word in line.lower() for word in ("error", "failed", "crashed"))), "")
    return {"ok": True, "whole": text == whole, "bytes": len(text), "bytes_whole": len(whole), "how": how, "said": said,
            "after_s": after_s}


def last_lines(complaints):
    complaints.seek(0)
    return complaints.read().decode(errors="replace").splitlines()[-20:]
