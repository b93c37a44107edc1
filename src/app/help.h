// The long parts of --help: what stands below the options of each verb. Text only.
#pragma once

#include <string_view>

namespace trilane::app::help {

inline constexpr std::string_view kAbout =
    "Trilane: language models on this machine's CPU, GPU and NPU, behind the OpenAI API.";

inline constexpr std::string_view kRoot = R"(Examples:
  trilane serve                        the daemon; without configuration, with the bundled model
  trilane run "Tell me a story."       one answer
  trilane run                          a chat
  trilane probe; trilane doctor        what this machine has, and what stands in its way
  trilane pull OWNER/NAME              a model from Hugging Face
  trilane ps                           what the daemon has loaded
  trilane key add laptop               a key for another machine
  trilane VERB --help                  everything about a verb

Environment:
  TRILANE_ISA          generic, avx2, avxvnni or avx512: the kernels to use, instead of the
                       best ones this CPU has
  TRILANE_MODELS_DIR   a folder of models, looked at before the others
  TRILANE_API_KEY      the key of `serve`, and of the verbs that talk to it
  TRILANE_URL          where those verbs find it
  TRILANE_CONFIG       the configuration file
  HF_ENDPOINT, HF_TOKEN   the hub of `pull`, and the token it asks for

Exit status: 0 good, 1 failed, 2 wrong usage, 130 interrupted.)";

inline constexpr std::string_view kServe =
    R"(Prints one line `listening on http://ADDRESS:PORT` when it is ready, then a curl to try. The log
goes to standard error and never holds keys, prompts or answers.

Models are loaded by their first request. Before it is ready, --model's is loaded, and kept; where
the configuration has no lanes and no models, the bundled one, as far as there is room for it.

SIGINT or SIGTERM lets running answers end, for up to 10 seconds; a second one ends at once.
Other addresses than this machine's own need a key.

Examples:
  trilane serve
  trilane serve --model ~/models/SmolLM2-135M-Instruct-Q8_0.gguf --ctx 4096 --slots 4
  TRILANE_API_KEY=$(openssl rand -hex 24) trilane serve --host 0.0.0.0
  curl http://127.0.0.1:13305/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model": "trilane-nano", "messages": [{"role": "user", "content": "Tell me a story."}]}')";

inline constexpr std::string_view kRun =
    R"(Runs the model in this process; no daemon is needed. With a prompt, or when standard input is
not a terminal, prints one answer and exits. In a chat, Ctrl-C stops the answer, Ctrl-D ends, and
/help lists the commands. A single argument is taken for a model when it is one's name or file,
and for the prompt otherwise; -m says which.

The bundled model tells small stories and gives short answers. It is no assistant: its facts are
often wrong.

Examples:
  trilane run
  trilane run "Tell me a short story about a dog." --temperature 0
  trilane run ~/models/qwen3-0.6b-q8_0.gguf --system "Answer in one sentence."
  trilane run --raw "Once upon a time" --max-tokens 60 --seed 7
  cat notes.txt | trilane run -m ~/models/qwen3-0.6b-q8_0.gguf

Files:
  $XDG_STATE_HOME/trilane/history (~/.local/state/...)   the lines typed in chats)";

inline constexpr std::string_view kModels =
    R"(Looks in DIR, in TRILANE_MODELS_DIR, among the models that came with Trilane, that were pulled or
imported, and in the folders of catalog.directories in the configuration; FastFlowLM, where it is
installed, is asked for its own. A model is DIR/name.gguf or DIR/name/some.gguf.

Exit status: 0; 1 when a DIR is none or holds no model.

Examples:
  trilane list
  trilane list ~/models --json)";

inline constexpr std::string_view kGguf = R"(Example:
  trilane gguf show trilane-nano --tensors)";

inline constexpr std::string_view kGgufShow =
    R"(Reads the header only, so it is quick on any size. Long arrays and texts are shortened,
except with --json, which shortens arrays only.

Examples:
  trilane gguf show trilane-nano
  trilane gguf show model.gguf --tensors
  trilane gguf show model.gguf --json | jq .runs)";

inline constexpr std::string_view kToken = R"(Examples:
  trilane token trilane-nano "Once upon a time"
  trilane token trilane-nano "<|user|>Hello<|assistant|>" --special --json
  trilane token trilane-nano - < README.md)";

inline constexpr std::string_view kPpl =
    R"(Two definitions; the one used is printed with the figures.

  default   Windows of --ctx tokens, moved by --stride. Each window begins with the vocabulary's
            BOS token, where it has one. Every token is scored once, in the first window that
            holds it, given all that stands before it in that window.
  --llama   As llama.cpp's perplexity tool: whole windows of --ctx tokens without overlap, the
            first token of each replaced by BOS, only the second half of each scored.

PPL = exp(mean of -ln p); its error is one standard error. Figures of models with different
vocabularies do not compare; bits per byte do, by and large.

Examples:
  trilane ppl trilane-nano wiki.test.raw --windows 40
  trilane ppl model.gguf wiki.test.raw --llama --ctx 512 --json)";

inline constexpr std::string_view kVersion = R"(Examples:
  trilane version
  TRILANE_ISA=generic trilane version --json)";

inline constexpr std::string_view kProbe =
    R"(Reads files of /proc, /sys and /etc, lists Vulkan's devices, and runs each engine that is
installed for its version, its devices and, of FastFlowLM, its own check of the NPU: GPU and NPU may
wake for a moment. With --root, files are read and nothing else. --json also says which file each
fact comes from.

Examples:
  trilane probe
  trilane probe --json | jq .memory)";

inline constexpr std::string_view kDoctor =
    R"(One line for each check; what is wrong comes with what was seen and the exact fix.

Exit status: 0 nothing worse than unknown, 1 warnings, 2 failures.

Examples:
  trilane doctor
  trilane doctor --all --json)";

inline constexpr std::string_view kPlan =
    R"(Counts weights, KV cache, buffers and caches against each memory pool and its reserve, and says
whether it fits, is tight or does not fit, with the largest context that would. Nothing is loaded.
What the daemon has seen such a load hold corrects the figures; the table says by how much.

Exit status: 0 fits or tight, 1 does not fit.

Examples:
  trilane plan trilane-nano
  trilane plan model.gguf --ctx 32768 --parallel 4 --kv q8
  trilane plan coder.gguf embed.gguf --device gpu0)";

inline constexpr std::string_view kPull =
    R"(Without a VARIANT, takes the best one that fits this machine. A download that was broken off goes
on where it was; files are checked and appear under their name only when they are whole.
catalog.hub_endpoint in the configuration, or HF_ENDPOINT, names another hub.

Examples:
  trilane pull ggml-org/Qwen3-0.6B-GGUF
  trilane pull OWNER/NAME:Q4_K_M --id coder
  trilane pull OWNER/NAME --dry-run)";

inline constexpr std::string_view kRemove =
    R"(Deletes only what lies in Trilane's own models folder. --json needs --yes. A daemon that has the
model loaded unloads it when it sees that its file has gone, once its answers have ended.

Example:
  trilane rm coder)";

inline constexpr std::string_view kImport = R"(Examples:
  trilane import ~/Downloads/model.gguf
  trilane import /srv/models/model.gguf --link --id coder)";

inline constexpr std::string_view kLoadouts =
    R"(Each set is for machines with at least so much memory; sizes are nominal, and checked against
this machine by the planner.

Examples:
  trilane loadouts
  trilane loadouts coder --json)";

inline constexpr std::string_view kKey =
    R"(A key is shown when it is made and never again: the file beside the configuration keeps a
digest of it. A running daemon notices changes within seconds. With keys, every request needs one;
the key of TRILANE_API_KEY may do everything.

Examples:
  trilane key add laptop
  trilane key add agents --models 'qwen*' --lanes npu,cpu --rpm 60 --concurrent 2 --days 90
  trilane key add me --admin
  trilane key list
  trilane key revoke laptop)";

inline constexpr std::string_view kKeyAdd =
    R"(Prints the key, which is shown this once: the file keeps a digest of it.

Examples:
  trilane key add laptop
  trilane key add agents --models 'qwen*' --lanes npu,cpu --rpm 60 --concurrent 2 --days 90
  trilane key add me --admin)";

inline constexpr std::string_view kKeyList =
    R"(The last characters of each tell which one a client has.

Examples:
  trilane key list
  trilane key list --json | jq '.[].name')";

inline constexpr std::string_view kKeyRevoke = R"(A running daemon notices within seconds.

Example:
  trilane key revoke laptop)";

inline constexpr std::string_view kUsage =
    R"(Sums of what the daemon has answered, by the hour: requests, tokens and time, never contents.
[usage] in the configuration says where they are kept and for how long.

Examples:
  trilane usage
  trilane usage --by key,model --since 7d
  trilane usage --by day --json)";

inline constexpr std::string_view kPs =
    R"(States: starting, warming, ready, serving, idle, draining, unloading, failed.
MEMORY is what is planned for a model; in brackets what formulas predicted, where observation has
corrected it, and what it is seen to hold now.

Examples:
  trilane ps
  trilane ps --json | jq '.lanes[].models[].model')";

inline constexpr std::string_view kLoad =
    R"(Returns when the model can answer, or with the reason why it cannot. Meanwhile a terminal shows
what the model waits for, and for how long. Where no lane is named, one that will not have it passes
it on to the next that may. What is loaded with another context than --ctx is loaded again, after its
running answers; if that one does not fit, what is loaded stays. More than the model was made for is
cut to that, unless the configuration gives it more. A --pin (and --ctx) lasts until `unload`, until
the configuration says something new of the same model's, or until the daemon ends.

Examples:
  trilane load coder
  trilane load coder --lane gpu --ctx 32768 --pin)";

inline constexpr std::string_view kUnload =
    R"(Running answers end first; then its memory is free. What waits for the model is told so, a load
that is under way ends, and what `load` said of its pin and context is over. The next request loads
it again; what the configuration pins is pinned from then on.

Example:
  trilane unload coder)";

inline constexpr std::string_view kLogs = R"(Examples:
  trilane logs
  trilane logs gpu -f)";

inline constexpr std::string_view kConfig =
    R"(One TOML file; without it the defaults count, and lanes are what is found on the machine. Changes
of models and queues are taken over while the daemon runs; others need a restart.

Examples:
  mkdir -p ~/.config/trilane
  trilane config default > ~/.config/trilane/config.toml
  trilane config check)";

inline constexpr std::string_view kConfigCheck =
    R"(Says what is wrong, each with its line and column, and looks whether what the file names is here:
files, folders, programs, devices, models. Errors are what `serve` refuses to start with: values that
cannot be, and keys that there are none of, for a misspelt setting is one that does not count.
Warnings are settings without effect, and lanes and models that the daemon would go without.

Exit status: 0 good, warnings or none; 1 errors, or no file.

Examples:
  trilane config check
  trilane config check ./config.toml --json)";

inline constexpr std::string_view kConfigShow =
    R"(The settings of the file, and the defaults of what it leaves out; keys are not in it.

Examples:
  trilane config show
  trilane config show ./config.toml --json | jq .lane)";

inline constexpr std::string_view kConfigDefault = R"(Example:
  mkdir -p ~/.config/trilane
  trilane config default > ~/.config/trilane/config.toml)";

inline constexpr std::string_view kConfigPath =
    R"(Without a file, says where one is looked for.

Exit status: 0; 1 when there is none.

Examples:
  trilane config path
  less $(trilane config path)
  trilane config path --json | jq .places)";

}  // namespace trilane::app::help
