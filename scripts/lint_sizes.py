#!/usr/bin/env python3
"""Fails on files over 800 lines (tests 1500), functions over 70 lines and folders named for nothing.

Counts by layout, not by grammar: clang-format puts a function's closing brace in the column where
its first line begins, at column 0 or, inside a class, at column 4.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 800
TEST_LINES_MAX = 1500
FUNCTION_LINES_MAX = 70
VAGUE_FOLDERS = {"util", "utils", "common", "helper", "helpers", "misc", "stuff", "shared"}
NOT_A_FUNCTION = re.compile(
    r"\s*((namespace|struct|class|enum|union|extern|using|typedef|static_assert)\b|#|//)")
TYPE = re.compile(r"(template\b.*)?(struct|class|union)\b")


def sources():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.h", "*.cpp"],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return sorted(path for path in (ROOT / name for name in listed) if path.is_file())


def long_functions(lines):
    """(line number, length) of each function that is too long."""
    start, column, in_type = None, 0, False
    for number, line in enumerate(lines, 1):
        if line.startswith("}"):
            in_type = False
        if start is not None:
            if line.startswith(" " * column + "}"):
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield start, number - start + 1
                start = None
            continue
        if TYPE.match(line) and line.rstrip().endswith("{"):
            in_type = True
            continue
        indent = len(line) - len(line.lstrip())
        if indent != (4 if in_type else 0) or NOT_A_FUNCTION.match(line) or "(" not in line:
            continue
        # The body may open some lines below the name, when the parameters are many.
        for ahead in range(number - 1, min(number + 8, len(lines))):
            end = lines[ahead].rstrip()
            if end.endswith("{") and not end.endswith("= {"):
                start, column = number, indent
                break
            if end.endswith((";", "}")):
                break


def main():
    faults = []
    for path in sources():
        lines = path.read_text().splitlines()
        name = path.relative_to(ROOT)
        limit = TEST_LINES_MAX if path.stem.endswith("_test") else FILE_LINES_MAX
        if len(lines) > limit:
            faults.append(f"{name}: {len(lines)} lines; at most {limit}")
        faults += [f"{name}:{start}: a function of {length} lines; at most {FUNCTION_LINES_MAX}"
                   for start, length in long_functions(lines)]
    faults += sorted({f"{path.parent.relative_to(ROOT)}: say what the folder is; '{part}' says nothing"
                      for path in sources() for part in path.relative_to(ROOT).parts[:-1]
                      if part in VAGUE_FOLDERS})
    main_cpp = ROOT / "src/app/main.cpp"
    if main_cpp.is_file() and len(main_cpp.read_text().splitlines()) > 150:
        faults.append("src/app/main.cpp: over 150 lines; wiring belongs into the verbs")
    job_h = ROOT / "src/job/job.h"
    if job_h.is_file() and len(job_h.read_text().splitlines()) > 200:
        faults.append("src/job/job.h: over 200 lines; keep the waist narrow")
    print("\n".join(faults) if faults else f"sizes: {len(sources())} files within limits")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
