#!/usr/bin/env python3
"""Fails when a file of src/ includes a header that its module's DEPS do not allow, transitively.

CMake refuses a dependency on a higher floor; this compares the DEPS that were declared with the
#includes that are really there. Test files may also use their module's TEST_LIBS.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYWORDS = {"FLOOR", "SOURCES", "TESTS", "DEPS", "LIBS", "TEST_LIBS"}


def declared_modules():
    """module → {"FLOOR": [...], "DEPS": [...], ...} as src/*/CMakeLists.txt declares them."""
    modules = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", path.read_text())
        for call in re.finditer(r"trilane_module\(\s*(\w+)(.*?)\)", text, re.S):
            fields, current = {word: [] for word in KEYWORDS}, None
            for word in call.group(2).split():
                if word in KEYWORDS:
                    current = word
                elif current:
                    fields[current].append(word)
            modules[call.group(1)] = fields
    return modules


def reachable(modules, start):
    """`start` and every module it may use, through the DEPS of its DEPS."""
    seen, todo = set(), list(start)
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += modules[module]["DEPS"] if module in modules else []
    return seen


def main():
    modules = declared_modules()
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    faults = [f"src/{name}: folder without trilane_module({name} …)"
              for name in sorted(folders - set(modules)) if any((ROOT / "src" / name).rglob("*.cpp"))]
    for name, fields in modules.items():
        floor = float(fields["FLOOR"][0])
        faults += [f"src/{name}/CMakeLists.txt: {name} (floor {floor:g}) depends on {dep}"
                   for dep in fields["DEPS"]
                   if dep not in modules or float(modules[dep]["FLOOR"][0]) >= floor]
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        module = path.relative_to(ROOT / "src").parts[0]
        if module not in modules:
            continue
        allowed = reachable(modules, [module])
        if path.stem.endswith("_test") or path.stem.endswith("_fuzz"):
            allowed |= reachable(modules, modules[module]["TEST_LIBS"])
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include "(\w+)/', line)
            if found and found.group(1) in folders and found.group(1) not in allowed:
                faults.append(f"{path.relative_to(ROOT)}:{number}: {module} may not include "
                              f"{found.group(1)}/ (not among its DEPS)")
    print("\n".join(faults) if faults else f"layers: {len(modules)} modules in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
