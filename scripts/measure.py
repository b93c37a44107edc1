#!/usr/bin/env python3
"""One record of Trilane's figures, with the machine's own limits measured before and after.

Repeats are interleaved (every scenario once, then every scenario again), figures are medians with the
range beside them, and the greedy tokens are compared with the golden ones in the same run: without
that check no figure is written. The load generator runs on the same machine and takes its share.

usage: scripts/measure.py [--label NAME] [--repeats N] [--quick] [--dry-run]
Appends to bench/records/<label>.csv; --quick shortens everything and implies --dry-run.
"""
import argparse
import csv
import datetime
import hashlib
import json
import os
import pathlib
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "dev"
TRILANE = BUILD / "src" / "app" / "trilane"
ENGINE_BENCH = BUILD / "bench" / "trilane_engine_bench"
MACHINE_LIMITS = BUILD / "bench" / "machine_limits"
HTTP_LOAD = BUILD / "bench" / "http_load"
NANO = ROOT / "models" / "trilane-nano"
MODEL = NANO / "trilane-nano-tq2_0.gguf"
MARGIN_MIN = 0.45  # what arithmetic alone cannot move: docs/notes/0002-golden-noise.md
START_SECONDS_MAX = 30
PROMPT = "Once upon a time"
STREAMS = 32
COLUMNS = ["date", "commit", "machine", "isa", "model", "scenario", "unit", "median", "min", "max",
           "repeats", "limit", "of_limit", "conditions"]


def run_json(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"measure: {command[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Daemon:
    """A `trilane serve` on a free port, for a with statement."""

    def __init__(self, *options):
        self.command = [str(TRILANE), "serve", "--port", "0", "--log-level", "off", *options]

    def __enter__(self):
        self.began = time.perf_counter()
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.match(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if not found:
            sys.exit(f"measure: the daemon did not start: {line}")
        self.port = int(found.group(1))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=START_SECONDS_MAX) != 0:
            sys.exit("measure: the daemon did not end in good order")
        self.process.stdout.close()

    def get(self, path):
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            while connection.recv(65536):
                pass

    def first_stream_byte_s(self, since):
        body = stream_body(1)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            seen = b""
            while b'"text":"' not in seen:
                piece = connection.recv(65536)
                if not piece:
                    sys.exit(f"measure: no token came: {seen[:400]}")
                seen += piece
            return time.perf_counter() - since


def stream_body(tokens):
    return json.dumps({"model": "trilane-nano", "prompt": PROMPT, "temperature": 0, "stream": True,
                       "max_tokens": tokens})


def run_to_first_token_ms():
    """Start of `trilane run` → the first byte of its answer."""
    began = time.perf_counter()
    with subprocess.Popen([str(TRILANE), "run", "--raw", PROMPT, "--temperature", "0", "--max-tokens", "1"],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.select(START_SECONDS_MAX)
            took = time.perf_counter() - began
        if not process.stdout.read():
            sys.exit("measure: trilane run gave no answer")
    return took * 1000


def serve_to_first_token_ms():
    """Start of `trilane serve` → the first token of a stream, asked for as soon as it listens."""
    with Daemon() as daemon:
        return daemon.first_stream_byte_s(daemon.began) * 1000


def idle_rss_mb():
    with Daemon("--no-model") as daemon:
        daemon.get("/health")
        status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024 / 1e6


def http_load(daemon, path, *options):
    figures = run_json([HTTP_LOAD, f"http://127.0.0.1:{daemon.port}{path}", *options])
    if figures["errors"]:
        sys.exit(f"measure: http_load saw errors: {figures}")
    return figures


def check_identity(prompt, ids):
    """How many greedy tokens equal the golden ones; exits when the first other one is no near-tie."""
    for step, (ours, golden, margin) in enumerate(
            zip(ids, prompt["greedy_ids"], prompt["greedy_margin"], strict=True)):
        if ours != golden:
            if margin >= MARGIN_MIN:
                sys.exit(f"measure: token {step} is {ours} and should be {golden} (margin {margin}): no figures")
            return step
    return len(ids)


class Record:
    """Samples by scenario, then rows."""

    def __init__(self):
        self.samples = {}
        self.facts = {}

    def add(self, scenario, unit, value, conditions="", limit=None):
        self.samples.setdefault(scenario, []).extend(value if isinstance(value, list) else [value])
        self.facts[scenario] = (unit, conditions, limit)

    def rows(self, common, limits):
        for scenario, values in self.samples.items():
            unit, conditions, limit = self.facts[scenario]
            median = statistics.median(values)
            reference = limits.get(limit[0]) if limit else None
            share = f"{median * limit[1] / reference:.3f}" if reference else ""
            yield {**common, "scenario": scenario, "unit": unit, "median": f"{median:.4g}",
                   "min": f"{min(values):.4g}", "max": f"{max(values):.4g}", "repeats": len(values),
                   "limit": f"{limit[0]} {reference:.4g}" if reference else "", "of_limit": share,
                   "conditions": conditions}


def measure_limits(record, limits):
    for row in run_json([MACHINE_LIMITS])["limits"]:
        for name, unit in (("read_gb_s", "GB/s"), ("vnni_gmac_s", "GMAC/s")):
            if row.get(name):
                key = f"limit {name} {row['threads']} threads"
                record.add(key, unit, row[name], "the machine itself")
                limits[key] = max(limits.get(key, 0), row[name])


def measure_engine(record, prompt, thread_counts, quick):
    answers = []
    forced = ["--isa", os.environ["TRILANE_ISA"]] if os.environ.get("TRILANE_ISA") else []
    for threads in thread_counts:
        figures = run_json([ENGINE_BENCH, MODEL, "--threads", threads, "--repeats", 1,
                            "--decode", 32 if quick else 256, "--prefill", 64 if quick else 512,
                            "--ids", ",".join(map(str, prompt["ids"])),
                            "--greedy", len(prompt["greedy_ids"]), *forced])
        answers.append(figures["greedy_ids"])
        note = f"{figures['threads']} threads, {figures['isa']}"
        gigabytes = figures["weight_bytes_per_token"] / 1e9
        record.add(f"nano decode, {threads} threads", "tok/s", figures["decode_tok_s"],
                   f"{note}, one client, {figures['decode_tokens']} tokens; weights stay in cache if it holds them",
                   (f"limit read_gb_s {threads} threads", gigabytes))
        record.add(f"nano prefill, {threads} threads", "tok/s", figures["prefill_tok_s"],
                   f"{note}, {figures['prefill_tokens']} tokens")
        record.add(f"nano decode, {figures['streams']} at once, {threads} threads", "tok/s in all",
                   figures["aggregate_tok_s"], f"{note}, all clients together")
    if any(ids != answers[0] for ids in answers):
        sys.exit("measure: the answer depends on the number of threads: no figures")
    return check_identity(prompt, answers[0])


def measure_http(record, seconds, directory):
    with Daemon("--no-model") as daemon:
        for connections in (1, 32):
            figures = http_load(daemon, "/health", "--connections", connections, "--seconds", seconds)
            record.add(f"/health, {connections} connections", "requests/s", figures["requests_per_s"],
                       "keep-alive, load generator on the same cores")
    body = pathlib.Path(directory) / "stream.json"
    body.write_text(stream_body(200))
    with Daemon("--slots", str(STREAMS)) as daemon:
        url = f"http://127.0.0.1:{daemon.port}/v1/completions"
        figures = http_load(daemon, "/live", "--connections", 1, "--seconds", seconds,
                            "--streams", STREAMS, "--stream-url", url, "--body", body)
        note = f"{STREAMS} open streams of the nano model, {figures['streams_ended']} ended meanwhile"
        record.add("/live beside 32 streams, p50", "ms", figures["p50_us"] / 1000, note)
        record.add("/live beside 32 streams, p99", "ms", figures["p99_us"] / 1000, note)


def commit():
    return subprocess.run(["git", "describe", "--always", "--dirty", "--tags"], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}).stdout.strip() or "unknown"


def write(rows, label):
    path = ROOT / "bench" / "records" / f"{label}.csv"
    path.parent.mkdir(exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)
    print(f"written to {path.relative_to(ROOT)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", help="name of the record's file (default: from the CPU's name)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats

    version = run_json([TRILANE, "version", "--json"])
    machine = run_json([MACHINE_LIMITS]) if not options.quick else {"cpu": "quick", "cores": os.cpu_count()}
    prompt = json.loads((NANO / "golden.json").read_text())[0]
    threads = sorted({1, min(2, machine["cores"])})
    record, limits = Record(), {}
    checked = 0
    with tempfile.TemporaryDirectory() as directory:
        measure_limits(record, limits)
        for i in range(repeats):
            print(f"repeat {i + 1} of {repeats}", flush=True)
            checked = measure_engine(record, prompt, threads, options.quick)
            record.add("start of run to first token", "ms", run_to_first_token_ms(), "warm file cache")
            record.add("start of serve to first token", "ms", serve_to_first_token_ms(),
                       "warm file cache, over HTTP, includes loading")
            record.add("RSS idle without a model", "MB", idle_rss_mb(), "after one /health")
            measure_http(record, 1 if options.quick else 3, directory)
        measure_limits(record, limits)
    record.add("greedy tokens equal to golden", "tokens", float(checked),
               f"up to a first near-tie (margin below {MARGIN_MIN}), of {len(prompt['greedy_ids'])}; the same ids "
               "with every number of threads")

    common = {"date": datetime.date.today().isoformat(), "commit": commit(),
              "machine": f"{machine['cpu']}, {machine['cores']} cores", "isa": version["kernels_in_use"],
              "model": hashlib.sha256(MODEL.read_bytes()).hexdigest()[:12]}
    rows = list(record.rows(common, limits))
    for row in rows:
        print(f"{row['scenario']:<44} {row['median']:>9} {row['unit']:<12} "
              f"({row['min']} … {row['max']}) {row['of_limit'] and 'of limit: ' + row['of_limit']}")
    label = options.label or re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {machine['cores']} cores".lower()).strip("-")
    if not options.quick and not options.dry_run:
        write(rows, label)


if __name__ == "__main__":
    main()
