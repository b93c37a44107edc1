#!/usr/bin/env python3
"""Writes golden/*.json: what Jinja2 renders. Run by hand after a template or a case has changed.

golden/<family>.json    one result for each conversation of conversations.json
golden/snippets.json    one result for each entry of snippets.json

Needs Debian's python3-jinja2. The version used is recorded in each file.
"""
import json
import pathlib

import jinja2

import jinja2_lines

HERE = pathlib.Path(__file__).resolve().parent


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    (HERE / "golden" / name).write_text(text, encoding="utf-8")


def family(path, suite):
    cases = []
    for conversation in suite["conversations"]:
        answer = jinja2_lines.render(path.read_text(encoding="utf-8"), conversation["variables"],
                                     suite["now"])
        cases.append({"name": conversation["name"], **answer})
    return {"template": path.name, "jinja2": jinja2.__version__, "cases": cases}


def main():
    (HERE / "golden").mkdir(exist_ok=True)
    suite = json.loads((HERE / "conversations.json").read_text(encoding="utf-8"))
    for path in sorted(HERE.glob("*.jinja")):
        result = family(path, suite)
        write(path.stem + ".json", result)
        good = sum("text" in case for case in result["cases"])
        raised = sum("raised" in case for case in result["cases"])
        print(f"{path.stem}: {good} texts, {raised} raised, "
              f"{len(result['cases']) - good - raised} errors")
    snippets = json.loads((HERE / "snippets.json").read_text(encoding="utf-8"))
    cases = []
    for source in snippets["templates"]:
        answer = jinja2_lines.render(source, snippets["variables"], snippets["now"])
        cases.append({"template": source, **answer})
    write("snippets.json", {"jinja2": jinja2.__version__, "cases": cases})
    print(f"snippets: {len(cases)}")


if __name__ == "__main__":
    main()
