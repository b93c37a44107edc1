#!/usr/bin/env python3
"""Reference renderer: Jinja2 set up as model tokenizers use it. A development tool.

One JSON object a line in: {"template", "variables", "now"}; one a line out: {"text"}, {"raised"} for
what raise_exception() said, or {"error"}. trilane_render_template speaks the same, so that the two
can be compared (it says "error" for both).
"""
import datetime
import json
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %}…{% endgeneration %}: marks the assistant's words; prints them unchanged."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_text")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


class TemplateRaised(Exception):
    """What raise_exception() said."""


def raise_exception(message):
    raise TemplateRaised(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment(now):
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).replace(tzinfo=None)
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = moment.strftime
    return made


def render(template, variables, now=0):
    """{"text": …}, {"raised": …} for raise_exception(), or {"error": …} for anything else."""
    try:
        return {"text": environment(now).from_string(template).render(**variables)}
    except TemplateRaised as raised:
        return {"raised": str(raised)}
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        answer = render(request["template"], request["variables"], request.get("now", 0))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
