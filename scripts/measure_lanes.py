#!/usr/bin/env python3
"""What the daemon adds in front of an engine, and what lanes cost, measured against a scripted engine.

The engine is trilane-fake-lane as llama-server: instant answers, so that what is measured is the way
there and back. Direct and through are interleaved; figures are medians of the repeats with their range.
Load generator, daemon and engine share the same cores.

usage: scripts/measure_lanes.py [--label NAME] [--repeats N] [--quick] [--dry-run] [--only PART]
Appends to bench/records/<label>-lanes.csv; --quick shortens everything and implies --dry-run.
"""
import argparse
import csv
import datetime
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "dev"
TRILANE = pathlib.Path(os.environ.get("TRILANE_BIN", BUILD / "src" / "app" / "trilane"))
FAKE = pathlib.Path(os.environ.get("TRILANE_FAKE_LANE", BUILD / "tests" / "fake_lane" / "trilane-fake-lane"))
HTTP_LOAD = BUILD / "bench" / "http_load"
MODEL = ROOT / "models" / "trilane-nano" / "trilane-nano-tq2_0.gguf"
TOKENS = 16
COLUMNS = ["date", "commit", "machine", "scenario", "unit", "median", "min", "max", "repeats", "goal", "conditions"]


def load(url, connections, seconds, body=None):
    command = [str(HTTP_LOAD), url, "--connections", str(connections), "--seconds", str(seconds)]
    if body:
        command += ["--post", str(body)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"measure_lanes: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Box:
    """A daemon over scripted engines in a folder of its own."""

    def __init__(self, script, config="", models=("a", "b", "c")):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trilane-measure-"))
        (self.folder / "models").mkdir()
        for name in models:
            (self.folder / "models" / f"{name}.gguf").symlink_to(MODEL)
        program = self.folder / "llama-server"
        program.symlink_to(FAKE)
        (self.folder / "llama-server.fake.json").write_text(json.dumps(script))
        (self.folder / "config.toml").write_text(
            f'[lane.gpu]\nkind = "llama-server"\ndevice = "cpu"\nprogram = "{program}"\n{config}\n')
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                       "TRILANE_MODELS_DIR": str(self.folder / "models")}
        self.process = subprocess.Popen(
            [str(TRILANE), "serve", "--port", "0", "--no-model", "--log-level", "off", "--config",
             str(self.folder / "config.toml")],
            stdout=subprocess.PIPE, text=True, env=environment)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, connection=None):
        own = connection is None
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        began = time.perf_counter()
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        text = answer.read()
        ms = (time.perf_counter() - began) * 1e3
        if own:
            connection.close()
        return answer.status, text, ms

    def chat(self, model, content="hi", connection=None):
        return self.ask("POST", "/v1/chat/completions",
                        {"model": model, "messages": [{"role": "user", "content": content}]}, connection)

    def stream(self, model, content, connection):
        """Begins a streamed chat; returns once its first bytes are there."""
        connection.request("POST", "/v1/chat/completions",
                           json.dumps({"model": model, "stream": True,
                                       "messages": [{"role": "user", "content": content}]}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read(1)
        return answer

    def slots_busy(self, connection):
        state = json.loads(self.ask("GET", "/trilane/v1/state", connection=connection)[1])
        return sum(lane["slots_busy"] for lane in state["lanes"])

    def children(self):
        return [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit() and
                parent_of(p) == self.process.pid]

    def child_port(self):
        for child in self.children():
            words = pathlib.Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if "--port" in words:
                return int(words[words.index("--port") + 1])
        sys.exit("measure_lanes: no child with a port")

    def stop(self):
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        ms = (time.perf_counter() - began) * 1e3
        shutil.rmtree(self.folder, ignore_errors=True)
        return ms


def parent_of(path):
    try:
        return int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def overhead(rows, repeats, seconds):
    box = Box({"tokens": TOKENS, "slots": 0}, config="requests_max = 64")
    status, text, _ = box.chat("a")
    assert status == 200, text
    child = f"http://127.0.0.1:{box.child_port()}/v1/chat/completions"
    ours = f"{box.url}/v1/chat/completions"
    body = box.folder / "body.json"
    body.write_text(json.dumps({"model": "a", "messages": [{"role": "user", "content": "Tell me a story."}]}))
    stream = box.folder / "stream.json"
    stream.write_text(json.dumps({"model": "a", "stream": True, "stream_options": {"include_usage": True},
                                  "messages": [{"role": "user", "content": "Tell me a story."}]}))
    figures = {}
    for _ in range(repeats):
        for connections in (1, 32):
            direct = load(child, connections, seconds, body)
            through = load(ours, connections, seconds, body)
            for name, result in (("direct", direct), ("through", through)):
                figures.setdefault((name, connections, "p50_us"), []).append(result["p50_us"])
                figures.setdefault((name, connections, "p99_us"), []).append(result["p99_us"])
                figures.setdefault((name, connections, "rps"), []).append(result["requests_per_s"])
            figures.setdefault(("added", connections, "p50_us"), []).append(
                through["p50_us"] - direct["p50_us"])
    box.stop()
    where = f"instant engine, answers of {TOKENS} tokens, upstream always streamed"
    for (name, connections, unit), values in figures.items():
        goal = "60" if (name, connections, unit) == ("added", 1, "p50_us") else (
            "15300" if (name, connections, unit) == ("through", 32, "rps") else "")
        rows.append((f"chat {name}, {connections} connections", unit.replace("rps", "requests/s"), values, goal, where))


def warm_while_loading(rows, repeats, load_ms):
    box = Box({"by_model": {"c.gguf": {"load_ms": load_ms}}})
    box.chat("a")
    keeper = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
    added, health_p99 = [], []
    for _ in range(repeats):
        before = statistics.median(box.chat("a", connection=keeper)[2] for _ in range(200))
        loading = threading.Thread(target=lambda: box.chat("c"))
        loading.start()
        time.sleep(0.1)
        during, health = [], []
        while loading.is_alive():
            during.append(box.chat("a", connection=keeper)[2])
            health.append(box.ask("GET", "/health", connection=keeper)[2])
            time.sleep(0.002)
        loading.join()
        added.append(statistics.median(during) - before)
        health_p99.append(sorted(health)[int(len(health) * 0.99)])
        box.ask("POST", "/trilane/v1/unload", {"model": "c"})
        time.sleep(0.2)
    box.stop()
    where = f"another model loads for {load_ms / 1000:g} s"
    rows.append(("warm chat, added while another loads", "ms", added, "5", where))
    rows.append(("/health p99 while a model loads", "ms", health_p99, "5", where))


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Pulse:
    """Asks for /health on a connection of its own every 2 ms, from begin to end."""

    def __init__(self, box):
        self.times = []
        self.ended = threading.Event()
        self.box = box
        self.thread = threading.Thread(target=self.beat)

    def beat(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.box.port, timeout=120)
        while not self.ended.is_set():
            try:
                self.times.append(self.box.ask("GET", "/health", connection=connection)[2])
            except (OSError, http.client.HTTPException):
                return  # the daemon has gone
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def add_percentiles(rows, scenario, runs, where, goal="5"):
    """Rows of the 50th and 99th percentile and of the maximum of each run."""
    for unit, share in (("p50 ms", 0.5), ("p99 ms", 0.99), ("max ms", 1.0)):
        rows.append((scenario, unit, [percentile(run, share) for run in runs],
                     goal if unit != "p50 ms" else "", f"{where}; {len(runs[0])} requests in the first run"))


def many_children(rows, repeats, asks):
    """Asked so seldom that what was looked up for the last one is too old for the next."""
    names = [f"m{i:02}" for i in range(12)]
    box = Box({}, models=names)
    for name in names:
        status, text, _ = box.chat(name)
        assert status == 200, text
    assert len(box.children()) == len(names)
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
    for path in ("/health", "/metrics"):
        runs = []
        for _ in range(repeats):
            runs.append([])
            for _ in range(asks):
                time.sleep(1.1)
                runs[-1].append(box.ask("GET", path, connection=connection)[2])
        add_percentiles(rows, f"{path}, 12 idle children, every 1.1 s", runs, "one connection")
    box.stop()


def health_while_evicting(rows, repeats):
    box = Box({}, config="residents_max = 1")
    box.chat("a")
    runs = []
    for _ in range(repeats):
        with Pulse(box) as pulse:
            for i in range(8):
                time.sleep(0.06)
                status, text, _ = box.chat("ba"[i % 2])
                assert status == 200, text
        runs.append(pulse.times)
    box.stop()
    add_percentiles(rows, "/health while models are evicted", runs, "8 swaps, instant engine")


def health_while_stopping(rows, repeats):
    runs = []
    for _ in range(repeats):
        box = Box({"decode_tps": 20, "tokens": 40})
        for model in "ab":
            box.chat(model)
        connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
        answer = box.stream("a", "hi", connection)
        with Pulse(box) as pulse:
            time.sleep(0.1)
            pulse.times.clear()
            box.stop()
        answer.close()
        runs.append(pulse.times)
    add_percentiles(rows, "/health while the daemon stops", runs,
                    "two children, one answer of 2 s under way")


def cancelling(rows, repeats):
    """From a client's leaving to its slot being free, as the daemon tells it."""
    box = Box({"decode_tps": 50, "tokens": 2000})
    box.chat("a", content="[[tokens:1]]")
    watcher = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)

    def until(busy):
        while box.slots_busy(watcher) != busy:
            time.sleep(0.0005)

    for streamed in (True, False):
        times = []
        for _ in range(repeats * 4):
            client = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
            if streamed:
                box.stream("a", "hi", client)
            else:
                client.request("POST", "/v1/chat/completions",
                               json.dumps({"model": "a", "messages": [{"role": "user", "content": "hi"}]}),
                               {"Content-Type": "application/json"})
            until(1)
            time.sleep(0.05)
            began = time.perf_counter()
            client.sock.shutdown(socket.SHUT_RDWR)
            client.close()
            until(0)
            times.append((time.perf_counter() - began) * 1e3)
        kind = "streamed" if streamed else "whole"
        rows.append((f"cancel: a client of a {kind} answer leaves, until its slot is free", "ms", times, "",
                     "a token every 20 ms; slot as /trilane/v1/state tells it"))
    box.stop()


def swaps(rows, repeats):
    box = Box({}, config="residents_max = 1")
    box.chat("a")
    times = []
    for i in range(repeats * 6):
        time.sleep(0.06)
        times.append(box.chat("ab"[(i + 1) % 2])[2])
    box.stop()
    rows.append(("swap, an instant engine", "ms", times, "150", "answer included; engine started and stopped"))


def alternating(rows, repeats, load_ms=300, work_ms=250):
    totals = []
    failed = 0
    for _ in range(repeats):
        box = Box({"latency_ms": work_ms, "load_ms": load_ms}, config="residents_max = 1")
        answers = []

        def client(model):
            connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
            for _ in range(10):
                answers.append(box.chat(model, connection=connection)[0])

        began = time.perf_counter()
        threads = [threading.Thread(target=client, args=(model,)) for model in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = (time.perf_counter() - began) * 1e3
        failed += sum(status != 200 for status in answers)
        totals.append(total / (20 * work_ms + 2 * (load_ms + work_ms)))
        box.stop()
    rows.append(("two clients, two models, room for one: time over work + two loads", "ratio", totals, "1.3",
                 f"{failed} of {20 * repeats} requests failed; {work_ms} ms each, loads {load_ms} ms + sanity {work_ms} ms"))


def stopping(rows, repeats):
    times = []
    for _ in range(repeats):
        box = Box({})
        box.chat("a")
        box.chat("b")
        times.append(box.stop())
    rows.append(("stop with two children", "ms", times, "2000", "idle"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", default="this-machine")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--only", default="", help="scenarios whose function's name contains this")
    args = parser.parse_args()
    repeats = 2 if args.quick else args.repeats
    rows = []
    quick = args.quick
    scenarios = [
        (overhead, repeats, 1 if quick else 4),
        (warm_while_loading, 2 if quick else 3, 1500 if quick else 12000),
        (many_children, 1 if quick else 3, 8 if quick else 30),
        (health_while_evicting, repeats),
        (health_while_stopping, repeats),
        (cancelling, repeats),
        (swaps, repeats),
        (alternating, 1 if quick else 3),
        (stopping, repeats),
    ]
    for scenario, *how in scenarios:
        if args.only in scenario.__name__:
            scenario(rows, *how)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    machine = f"{model}, {os.cpu_count()} cores"
    for scenario, unit, values, goal, where in rows:
        print(f"{scenario:<64} {statistics.median(values):>10.4g} {unit:<10} ({min(values):.4g} … {max(values):.4g})"
              f"{'  goal ' + goal if goal else ''}  {where}")
    if args.quick or args.dry_run:
        return
    path = ROOT / "bench" / "records" / f"{args.label}-lanes.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        for scenario, unit, values, goal, where in rows:
            writer.writerow([datetime.date.today().isoformat(), commit, machine, scenario, unit,
                             f"{statistics.median(values):.5g}", f"{min(values):.5g}", f"{max(values):.5g}",
                             len(values), goal, where])
    print(f"appended to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
