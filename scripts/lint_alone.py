#!/usr/bin/env python3
"""Whether each source compiles by itself, with all the includes it needs. The usual build compiles
several sources as one (TRILANE_UNITY), where one may live on another's includes without anybody
noticing.

usage: lint_alone.py FOLDER SECONDS    FOLDER has the compile_commands.json of a build without unity
Files changed against origin/main come first; after SECONDS no further one is started, and how many
were left out is said."""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return done.stdout.split("\n") if done.returncode == 0 else []


def changed():
    base = (git("merge-base", "HEAD", "origin/main") or ["HEAD"])[0] or "HEAD"
    names = git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")
    return {os.path.join(ROOT, name) for name in names}


def check(command):
    # What the precompiled header holds, a file must include itself.
    words = re.sub(r" -Winvalid-pch -include \S+", "", command["command"])
    words = shlex.split(words)
    if os.path.basename(words[0]) == "ccache":
        words = words[1:]
    at = words.index("-o")
    words[at : at + 2] = ["-fsyntax-only"]
    return subprocess.run(words, cwd=command["directory"], capture_output=True, text=True)


def main():
    folder, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
    with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
        commands = [c for c in json.load(file) if not c["file"].startswith(os.path.abspath(folder))]
    first = changed()
    commands.sort(key=lambda command: command["file"] not in first)

    def one(command):
        return check(command) if time.monotonic() < until else None

    left_out = failed = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool:
        for done in pool.map(one, commands):
            left_out += done is None
            if done is not None and (done.returncode != 0 or done.stderr):
                failed += 1
                print(done.stderr, end="")
    print(f"alone: {len(commands) - left_out} files, {failed} with findings")
    if left_out:
        print(f"alone: no time for {left_out} files")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
