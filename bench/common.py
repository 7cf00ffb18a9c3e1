"""What the benchmarks share: models, prompts, the machine's name, pages of results."""
import concurrent.futures
import json
import os
import platform
import re
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(os.environ.get("SHOAL_CACHE_DIR") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "shoal"), "bench")
RESULTS = os.path.join(HERE, "results")  # `bench.py --out` changes it
BIN = os.environ.get("SHOAL_BIN") or os.path.join(ROOT, "build", "release", "bin")
# What the other systems do not have, and what would make a prompt that comes again another measurement.
PLAIN = ["--context", "1024", "--draft-tokens", "0", "--prefix-cache", "off"]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def model(name, *arguments):
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, name + ".gguf")
    if not os.path.exists(path):
        say("making", path)
        subprocess.run([os.path.join(BIN, "shoal-make-model"), *arguments, "--seed", "1", "--out", path + ".part"],
                       check=True, stdout=subprocess.DEVNULL)
        os.rename(path + ".part", path)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prompt(tokens, seed):
    return [100 + (seed * 7919 + i * 7) % 20000 for i in range(tokens)]


def at_once(function, arguments):
    """All calls at the same time. Does not wait for them when it is interrupted: they fail when the shoal ends."""
    pool = concurrent.futures.ThreadPoolExecutor(len(arguments))
    try:
        return list(pool.map(function, arguments))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def rounds_of(count):
    return "one round" if count == 1 else f"medians of {count} rounds"


def machine():
    with open("/proc/cpuinfo") as file:
        name = re.search(r"model name\s*:\s*(.*)", file.read())
    return f"{os.cpu_count()} cores of {name.group(1) if name else platform.machine()}, {platform.machine()}"


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if git("status", "--porcelain", "-uno") else "")


def headed(title, result):
    return ["# " + title, "",
            f"Measured on {result['date']}, {result['machine']}; {rounds_of(result['rounds'])}.", ""]


def result_path(file_name):
    os.makedirs(RESULTS, exist_ok=True)
    return os.path.join(RESULTS, file_name)


def write(name, result, page, quiet=False):
    with open(result_path(name + ".json"), "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    text = "\n".join(page(result)) + "\n"
    with open(result_path(name + ".md"), "w") as file:
        file.write(text)
    if not quiet:
        print(text)
