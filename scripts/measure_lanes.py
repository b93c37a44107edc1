#!/usr/bin/env python3
"""What the daemon adds in front of an engine, and what lanes cost, measured against a scripted engine.

The engine is trilane-fake-lane as llama-server: instant answers, so that what is measured is the way
there and back. Direct and through are interleaved; figures are medians of the repeats with their range.
Load generator, daemon and engine share the same cores.

usage: scripts/measure_lanes.py [--label NAME] [--repeats N] [--quick] [--dry-run]
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
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "dev"
TRILANE = BUILD / "src" / "app" / "trilane"
FAKE = BUILD / "tests" / "fake_lane" / "trilane-fake-lane"
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
    args = parser.parse_args()
    repeats = 2 if args.quick else args.repeats
    rows = []
    overhead(rows, repeats, 1 if args.quick else 4)
    warm_while_loading(rows, 2 if args.quick else 3, 1500 if args.quick else 12000)
    swaps(rows, repeats)
    alternating(rows, 1 if args.quick else 3)
    stopping(rows, repeats)
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
