// The long parts of --help: what stands below the options of each verb. Text only.
#pragma once

#include <string_view>

namespace trilane::app::help {

inline constexpr std::string_view kAbout =
    "Trilane: language models on this machine's CPU, behind the OpenAI API.";

inline constexpr std::string_view kRoot = R"(Examples:
  trilane serve                        the daemon, with the bundled model
  trilane run "Tell me a story."       one answer
  trilane run                          a chat
  trilane VERB --help                  everything about a verb

Environment:
  TRILANE_ISA          generic, avx2, avxvnni or avx512: the kernels to use, instead of the
                       best ones this CPU has
  TRILANE_MODELS_DIR   a folder of models, looked at before the others
  TRILANE_API_KEY      the key of `serve`

Exit status: 0 good, 1 failed, 2 wrong usage, 130 interrupted.)";

inline constexpr std::string_view kServe =
    R"(Prints one line `listening on http://ADDRESS:PORT` when it is ready, then a curl to try. The log
goes to standard error and never holds keys, prompts or answers.

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
    R"(Looks in TRILANE_MODELS_DIR, in the models that were installed with Trilane, and in DIR.
A model is DIR/name.gguf or DIR/name/some.gguf.

Examples:
  trilane models
  trilane models ~/models --json)";

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

}  // namespace trilane::app::help
