// Compares Trilane with an independent engine (llama.cpp, through node-llama-cpp) on synthetic models:
// the same greedy tokens for 64 steps, or a shown near-tie after which both go on with the oracle's
// token. Also compares the margins of every step, so that agreement by luck shows.
//
//   node oracle.mjs [--make BIN] [--greedy BIN] [--models DIR] [--only TEXT] [--keep] [--verbose]
//
// --greedy is a program `BIN MODEL ID,ID,ID N` that prints N lines `id margin` (margin = logit of the
// likeliest token minus that of the second). Exit 1 when a model fails.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const build = path.join(root, "build", "dev");
const run = promisify(execFile);

const kSteps = 64;
const kRunTimeoutMs = 60_000;
const kContextTokens = 256;

// Token ids (below 512). One token; a sentence's worth; more than one block of a prefill.
const kPrompts = [
  [101],
  [84, 104, 281, 32, 300, 17, 490, 256, 33, 400, 7],
  Array.from({ length: 70 }, (_, i) => (i * 97 + 13) % 500),
];

// What counts as a near-tie, in standard deviations of the step's logits, and how far apart the margins
// may lie on average. Both follow from how activations are rounded before they meet the weights: not at
// all (F32), to F16 or BF16 by llama.cpp alone, to int8 per 32 values by both (Q8_0, Q4_0), or to int8
// per 256 by llama.cpp and per 32 or per token by Trilane (the others). Against exact arithmetic on the
// same weights each engine is off by about 2 % (per 32) and 4 % (per 256) of the logits' deviation on
// these noise-like models, where nothing damps an error; README.md says how that was measured.
const kPlain = { tie: 0.01, mean: 0.001 };
const kF16 = { tie: 0.02, mean: 0.004 };
const kBf16 = { tie: 0.08, mean: 0.02 };
const kInt8Per32 = { tie: 0.15, mean: 0.035 };
const kInt8Per256 = { tie: 0.3, mean: 0.08 };
const kTolerance = {
  f32: kPlain,
  f16: kF16,
  bf16: kBf16,
  q8_0: kInt8Per32,
  q4_0: kInt8Per32,
  q4_k: kInt8Per256,
  q5_k: kInt8Per256,
  q6_k: kInt8Per256,
  tq1_0: kInt8Per256,
  tq2_0: kInt8Per256,
};
// At most this part of a model's steps may be near-ties; noise-like logits have some.
const kTiesMax = 1 / 6;

/** The oracle's step: chosen id, margin, all logits and their standard deviation. */
function readLogits(logits) {
  let best = -1;
  let second = -1;
  let sum = 0;
  let squares = 0;
  for (const [id, logit] of logits) {
    sum += logit;
    squares += logit * logit;
    if (best < 0 || logit > logits.get(best)) {
      second = best;
      best = id;
    } else if (second < 0 || logit > logits.get(second)) {
      second = id;
    }
  }
  const mean = sum / logits.size;
  return {
    id: best,
    margin: logits.get(best) - logits.get(second),
    deviation: Math.sqrt(squares / logits.size - mean * mean),
    logits,
  };
}

/** `kSteps` greedy steps of the oracle after `prompt`. */
async function oracleSteps(context, prompt) {
  const sequence = context.getSequence();
  const wanted = { generateNext: { logits: true, options: { temperature: 0 } } };
  const steps = [];
  let input = prompt.map((id, i) => (i + 1 < prompt.length ? id : [id, wanted]));
  while (steps.length < kSteps) {
    const outputs = await sequence.controlledEvaluate(input);
    const step = readLogits(outputs.at(-1).next.logits);
    steps.push(step);
    input = [[step.id, wanted]];
  }
  sequence.dispose();
  return steps;
}

/** Trilane's greedy ids and margins after `prompt`. */
async function trilaneSteps(greedy, model, prompt, count) {
  const { stdout } = await run(greedy, [model, prompt.join(","), String(count)], {
    timeout: kRunTimeoutMs,
  });
  const steps = stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [id, margin] = line.trim().split(/\s+/).map(Number);
      return { id, margin };
    });
  if (steps.length !== count || steps.some((s) => !Number.isInteger(s.id) || !(s.margin >= 0))) {
    throw new Error(`${path.basename(greedy)} did not print ${count} lines "id margin"`);
  }
  return steps;
}

/**
 * Walks both lists. Where they part the step must be a near-tie for both engines; Trilane then starts
 * again behind the oracle's token, so that every one of the steps is compared.
 */
async function compare(greedy, model, prompt, oracle, tolerance, result) {
  let done = 0;
  while (done < kSteps) {
    const soFar = [...prompt, ...oracle.slice(0, done).map((s) => s.id)];
    const own = await trilaneSteps(greedy, model, soFar, kSteps - done);
    let parted = false;
    for (const step of own) {
      const theirs = oracle[done];
      const at = done++;
      result.steps++;
      if (step.id === theirs.id) {
        const apart = Math.abs(step.margin - theirs.margin) / theirs.deviation;
        result.apartSum += apart;
        result.apartMax = Math.max(result.apartMax, apart);
        continue;
      }
      // How much the oracle prefers its token to ours, and we ours to the second of ours.
      const behind = (theirs.logits.get(theirs.id) - theirs.logits.get(step.id)) / theirs.deviation;
      const margin = step.margin / theirs.deviation;
      const tie = behind < tolerance.tie && margin < tolerance.tie;
      const line =
        `prompt of ${prompt.length}, step ${at}: oracle ${theirs.id}, Trilane ${step.id}; ` +
        `${behind.toFixed(4)} σ apart for the oracle, margin ${margin.toFixed(4)} σ in Trilane`;
      (tie ? result.ties : result.faults).push(line);
      parted = true;
      break;
    }
    if (parted && result.faults.length > 0) {
      return;
    }
  }
}

async function judge(llama, options, name) {
  const tolerance = kTolerance[name.split("-").at(-1)];
  const model = path.join(options.models, `${name}.gguf`);
  const result = { name, steps: 0, apartSum: 0, apartMax: 0, ties: [], faults: [], distinct: 0 };
  await run(options.make, [options.models, name], { timeout: kRunTimeoutMs });
  try {
    const loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0, useMmap: true });
    const context = await loaded.createContext({
      contextSize: kContextTokens,
      flashAttention: false,
      threads: 1,
    });
    for (const prompt of kPrompts) {
      const oracle = await oracleSteps(context, prompt);
      result.distinct = Math.max(result.distinct, new Set(oracle.map((s) => s.id)).size);
      if (options.greedy) {
        await compare(options.greedy, model, prompt, oracle, tolerance, result);
      } else {
        result.oracle = [...(result.oracle ?? []), oracle];
      }
    }
    await context.dispose();
    await loaded.dispose();
  } catch (error) {
    result.faults.push(String(error.message ?? error).trim().split("\n")[0]);
  } finally {
    if (!options.keep) {
      rmSync(model, { force: true });
    }
  }
  const compared = result.steps - result.ties.length - result.faults.length;
  result.apartMean = compared > 0 ? result.apartSum / compared : 0;
  if (result.faults.length === 0 && result.apartMean > tolerance.mean) {
    result.faults.push(`margins lie ${result.apartMean.toFixed(4)} σ apart on average`);
  }
  if (result.ties.length > kTiesMax * result.steps) {
    result.faults.push(`${result.ties.length} of ${result.steps} steps are near-ties`);
  }
  return result;
}

function print(result, verbose) {
  const cells = [
    result.name.padEnd(26),
    String(result.steps).padStart(5),
    String(result.distinct).padStart(8),
    String(result.ties.length).padStart(5),
    result.apartMean.toFixed(5).padStart(9),
    result.apartMax.toFixed(5).padStart(9),
    result.faults.length === 0 ? "  ok" : "  FAILED",
  ];
  console.log(cells.join(" "));
  for (const line of result.faults) {
    console.log(`    ${line}`);
  }
  for (const line of verbose || result.faults.length > 0 ? result.ties : []) {
    console.log(`    near-tie: ${line}`);
  }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      make: { type: "string", default: path.join(build, "tests/oracle/trilane_make_oracle_models") },
      greedy: { type: "string", default: path.join(build, "src/app/trilane_greedy") },
      models: { type: "string", default: path.join(build, "oracle") },
      only: { type: "string", default: "" },
      keep: { type: "boolean", default: false },
      verbose: { type: "boolean", default: true },
    },
    allowNegative: true,
  });
  for (const program of [values.make, values.greedy]) {
    if (!existsSync(program)) {
      throw new Error(`${program} does not exist; build it first (see README.md)`);
    }
  }
  mkdirSync(values.models, { recursive: true });
  return values;
}

async function main() {
  const options = readOptions();
  const { getLlama, LlamaLogLevel } = await import("node-llama-cpp");
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    usePrebuiltBinaries: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    maxThreads: 1,
  });
  const { stdout } = await run(options.make, ["--list"]);
  const names = stdout.trim().split("\n").filter(
    (name) => name.includes(options.only) && !name.includes("_embed_"), // those are embeddings.mjs's
  );
  console.log("σ = standard deviation of the oracle's logits at the step; apart = |margin difference|");
  console.log(
    `${"model".padEnd(26)} ${"steps".padStart(5)} ${"distinct".padStart(8)} ${"ties".padStart(5)} ` +
      `${"apart/σ".padStart(9)} ${"max".padStart(9)}`,
  );
  const failed = [];
  for (const name of names) {
    const result = await judge(llama, options, name);
    print(result, options.verbose);
    if (result.faults.length > 0) {
      failed.push(name);
    }
  }
  console.log(`${names.length - failed.length} of ${names.length} models agree`);
  await llama.dispose();
  process.exit(failed.length > 0 || names.length === 0 ? 1 : 0);
}

await main();
