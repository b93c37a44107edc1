// trilane-fake-lane: plays an inference engine for tests of those who supervise and ask one.
// Chooses the engine and its script; README.md says how.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "life.h"
#include "personality.h"
#include "script.h"
#include "world.h"

namespace trilane::fake_lane {
namespace {

constexpr std::string_view kUsage =
    "usage: trilane-fake-lane llama-server|flm|whisper-server|sd-server|kokoro|openai [--fake "
    "JSON] "
    "ARGS...\n       or start it by a link of such a name; `trilane-fake-lane fields` lists the "
    "fields of a script\n";

/// What to play, with which arguments and scripts.
struct Call {
    std::string kind;
    std::vector<std::string> arguments;   ///< of the engine
    std::vector<std::string> everything;  ///< argv as it came
    std::string fake;                     ///< of --fake
    std::string beside;                   ///< the file beside the link
};

/// The engine that a program of this name is; "" for none.
std::string kind_of(std::string_view name) {
    name = name.substr(name.rfind('/') + 1);
    if (name.starts_with("llama-server")) {
        return "llama-server";
    }
    if (name == "flm" || name == "oflm") {
        return "flm";
    }
    if (name.starts_with("whisper-server")) {
        return "whisper-server";
    }
    if (name.starts_with("sd-server")) {
        return "sd-server";
    }
    if (name.starts_with("kok")) {
        return "kokoro";
    }
    return name == "openai" || name == "vllm" || name == "sglang" ? "openai" : "";
}

Call read_call(std::vector<std::string> everything) {
    Call call;
    std::size_t first = 1;
    call.kind = kind_of(everything[0]);
    if (call.kind.empty() && everything.size() > 1) {
        call.kind = everything[1] == "fields" ? "fields" : kind_of(everything[1]);
        first = 2;
    }
    call.beside = everything[0] + ".fake.json";
    for (std::size_t i = first; i < everything.size(); ++i) {
        if (everything[i] == "--fake" && i + 1 < everything.size()) {
            call.fake = everything[++i];
        } else if (everything[i].starts_with("--fake=")) {
            call.fake = everything[i].substr(7);
        } else {
            call.arguments.push_back(everything[i]);
        }
    }
    call.everything = std::move(everything);
    return call;
}

Status apply_file(Script& script, const std::string& path, std::string_view model) {
    std::ifstream file(path);
    if (!file) {
        return fail(Fault::not_found, "cannot read the script {}", path);
    }
    std::ostringstream text;
    text << file.rdbuf();
    return apply_text(script, text.str(), model);
}

const char* from_environment(const char* name) {
    return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
}

/// The layers of a script, the last one wins field by field.
Status apply_layers(Script& script, const Call& call, std::string_view model) {
    if (::access(call.beside.c_str(), R_OK) == 0) {
        TRILANE_TRY_STATUS(apply_file(script, call.beside, model));
    }
    if (const char* path = from_environment("FAKE_LANE_FILE")) {
        TRILANE_TRY_STATUS(apply_file(script, path, model));
    }
    if (const char* text = from_environment("FAKE_LANE")) {
        TRILANE_TRY_STATUS(apply_text(script, text, model));
    }
    if (!call.fake.empty()) {
        TRILANE_TRY_STATUS(apply_text(script, call.fake, model));
    }
    return {};
}

std::optional<int> run_verb(const Call& call, const Script& script) {
    if (call.kind == "llama-server") {
        return llama_server_verb(call.arguments, script);
    }
    return call.kind == "flm" ? flm_verb(call.arguments, script) : other_verb(call.arguments);
}

Result<std::unique_ptr<Personality>> make(const Call& call, const Script& script) {
    if (call.kind == "llama-server") {
        return make_llama_server(call.arguments, script);
    }
    return call.kind == "flm" ? make_flm(call.arguments, script)
                              : make_other(call.kind, call.arguments);
}

int print_fields() {
    for (const std::string& name : field_names()) {
        fmt::print("{}\n", name);
    }
    return 0;
}

int complain(std::string_view message, int code) {
    fmt::print(stderr, "{}\n", message);
    return code;
}

void prepare_process() {
    // Crashes are this program's trade; nobody wants their core files.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    ::sigprocmask(SIG_BLOCK, &stops, nullptr);
}

int play(Call call) {
    Script early;
    if (const Status read = apply_layers(early, call, ""); !read) {
        return complain("trilane-fake-lane: " + read.error().message, 2);
    }
    if (const std::optional<int> code = run_verb(call, early)) {
        return *code;
    }
    Result<std::unique_ptr<Personality>> made = make(call, early);
    if (!made) {
        return complain(made.error().message, 1);
    }
    Personality& personality = **made;
    Script script;
    personality.adjust(script);
    if (const Status read = apply_layers(script, call, personality.model()); !read) {
        return complain("trilane-fake-lane: " + read.error().message, 2);
    }
    personality.prepare(script);
    World world(std::move(call.everything), std::move(script));
    Life life(world, personality);
    life.run();
}

}  // namespace
}  // namespace trilane::fake_lane

int main(int argc, char** argv) {
    using namespace trilane::fake_lane;
    Call call = read_call({argv, argv + argc});
    if (call.kind == "fields") {
        return print_fields();
    }
    if (call.kind.empty()) {
        fmt::print(stderr, "{}", kUsage);
        return 2;
    }
    prepare_process();
    return play(std::move(call));
}
