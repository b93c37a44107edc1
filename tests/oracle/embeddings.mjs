// Compares Trilane's vectors and scores with those of llama.cpp (through node-llama-cpp) on synthetic
// models: encoders of every kind and weight type, rankers, and decoders that embed.
//
//   node embeddings.mjs [--embed BIN] [--models DIR] [--only TEXT] [--keep]
//
// Exit 1 when a model's worst cosine is below the limit of its type, or a score is too far off.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const build = path.join(root, "build", "dev");
const run = promisify(execFile);

const kRunTimeoutMs = 60_000;
const kContextTokens = 256;
const kCls = 2;
const kSep = 3;

// Token ids (below 512): one token; a sentence's worth; more than one chunk of an encoder's products.
const kTexts = [
  [101],
  [84, 104, 281, 32, 300, 17, 490, 256, 33, 400, 7],
  Array.from({ length: 70 }, (_, i) => 4 + ((i * 97 + 13) % 500)),
  Array.from({ length: 200 }, (_, i) => 4 + ((i * 53 + 29) % 500)),
];

// The least cosine of a vector, and the largest distance of a score (the scores of one model lie about
// 0.5 apart). What separates the engines is how activations are rounded before they meet the weights:
// see README.md.
const kPlain = { cosine: 0.9999, score: 0.005 };
const kInt8Per32 = { cosine: 0.9995, score: 0.1 };
const kInt8Per256 = { cosine: 0.998, score: 0.1 };
const kLimits = {
  f32: kPlain,
  f16: kPlain,
  bf16: { cosine: 0.9999, score: 0.03 },
  q8_0: kInt8Per32,
  q4_0: kInt8Per32,
  q4_k: kInt8Per256,
  q5_k: kInt8Per256,
  q6_k: kInt8Per256,
};

function cosine(a, b) {
  if (a.length !== b.length || a.length === 0) {
    throw new Error(`vectors of ${a.length} and ${b.length} numbers`);
  }
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / Math.sqrt(aa * bb);
}

async function trilaneRows(embed, model, kind, texts) {
  const { stdout } = await run(embed, [model, kind, ...texts.map((ids) => ids.join(","))], {
    timeout: kRunTimeoutMs,
    maxBuffer: 1 << 24,
  });
  const rows = stdout.trim().split("\n").map((line) => line.split(" ").map(Number));
  if (rows.length !== texts.length || rows.flat().some((x) => !Number.isFinite(x))) {
    throw new Error(`${path.basename(embed)} did not print ${texts.length} rows of numbers`);
  }
  return rows;
}

/** The worst cosine of all texts. */
async function compareVectors(options, loaded, model, decoder) {
  const context = await loaded.createEmbeddingContext({
    contextSize: kContextTokens,
    batchSize: kContextTokens,
    threads: 1,
  });
  const texts = kTexts.map((ids) => (decoder ? ids : [kCls, ...ids, kSep]));
  const own = await trilaneRows(options.embed, model, "vectors", texts);
  let worst = 1;
  for (const [i, ids] of texts.entries()) {
    const { vector } = await context.getEmbeddingFor([...ids]);
    worst = Math.min(worst, cosine(own[i], vector));
  }
  // Different texts must not have the same vector, or the comparison would say nothing.
  const spread = cosine(own[1], own[2]);
  await context.dispose();
  return { worst, spread };
}

/** The largest distance of all scores. */
async function compareScores(options, loaded, model) {
  const context = await loaded.createRankingContext({
    contextSize: kContextTokens,
    batchSize: kContextTokens,
    threads: 1,
  });
  const query = kTexts[1];
  const documents = [kTexts[0], kTexts[2], kTexts[1], kTexts[3].slice(0, 120), kTexts[2].slice(9, 30)];
  const pairs = documents.map((document) => context._getEvaluationInput(query, [...document, kSep]));
  const own = await trilaneRows(options.embed, model, "scores", pairs);
  let worst = 0;
  for (const [i, document] of documents.entries()) {
    // It gives the logistic function of the score.
    const probability = await context.rank(query, [...document, kSep]);
    worst = Math.max(worst, Math.abs(own[i][0] - Math.log(probability / (1 - probability))));
  }
  const scores = own.map(([score]) => score);
  await context.dispose();
  return { worst, spread: Math.max(...scores) - Math.min(...scores) };
}

async function judge(llama, options, { name, make }) {
  const limits = kLimits[name.split("-").at(-1)];
  const ranker = name.includes("_rank");
  const model = path.join(options.models, `${name}.gguf`);
  const result = { name, ranker, fault: "" };
  await run(make, [options.models, name], { timeout: kRunTimeoutMs });
  try {
    const loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0, useMmap: true });
    const compare = ranker ? compareScores : compareVectors;
    Object.assign(result, await compare(options, loaded, model, name.includes("_embed_")));
    await loaded.dispose();
    const good = ranker ? result.worst <= limits.score : result.worst >= limits.cosine;
    const apart = ranker ? result.spread > 2 * limits.score : result.spread < 0.99;
    result.fault = good ? (apart ? "" : "its answers are all the same") : "too far apart";
  } catch (error) {
    result.fault = String(error.message ?? error).trim().split("\n")[0];
  } finally {
    if (!options.keep) {
      rmSync(model, { force: true });
    }
  }
  return result;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      encoders: {
        type: "string",
        default: path.join(build, "tests/oracle/trilane_make_oracle_encoders"),
      },
      decoders: { type: "string", default: path.join(build, "tests/oracle/trilane_make_oracle_models") },
      embed: { type: "string", default: path.join(build, "tests/oracle/trilane_oracle_embed") },
      models: { type: "string", default: path.join(build, "oracle") },
      only: { type: "string", default: "" },
      keep: { type: "boolean", default: false },
    },
  });
  for (const program of [values.encoders, values.decoders, values.embed]) {
    if (!existsSync(program)) {
      throw new Error(`${program} does not exist; build it first (see README.md)`);
    }
  }
  mkdirSync(values.models, { recursive: true });
  return values;
}

async function names(make, wanted) {
  const { stdout } = await run(make, ["--list"]);
  return stdout.trim().split("\n").filter(wanted).map((name) => ({ name, make }));
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
  const models = [
    ...(await names(options.encoders, () => true)),
    ...(await names(
      options.decoders,
      (name) => name.includes("_embed_") && name.split("-").at(-1) in kLimits,
    )),
  ].filter(({ name }) => name.includes(options.only));
  console.log(`${"model".padEnd(26)} ${"worst".padStart(12)} ${"spread".padStart(9)}`);
  const failed = [];
  for (const model of models) {
    const result = await judge(llama, options, model);
    const worst = result.worst === undefined ? "" : result.worst.toFixed(7);
    const spread = result.spread === undefined ? "" : result.spread.toFixed(4);
    console.log(
      `${result.name.padEnd(26)} ${worst.padStart(12)} ${spread.padStart(9)}  ` +
        (result.fault === "" ? "ok" : `FAILED: ${result.fault}`),
    );
    if (result.fault !== "") {
      failed.push(result.name);
    }
  }
  console.log("worst: the least cosine of a vector, or of rankers the largest distance of a score");
  console.log(`${models.length - failed.length} of ${models.length} models agree`);
  await llama.dispose();
  process.exit(failed.length > 0 || models.length === 0 ? 1 : 0);
}

await main();
