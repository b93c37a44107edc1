#include "probe/engines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>

#include "json/json.h"
#include "probe/ask.h"
#include "probe/system_facts.h"
#include "probe/tree.h"

namespace trilane::probe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

/// What one kind of program is asked, and what becomes of the answer.
struct Asking {
    std::string_view kind;
    std::vector<std::string> arguments;
    void (*take)(Engine& engine, const Answer& answer);
};

/// Programs print on either stream, some on both.
std::string both(const Answer& answer) {
    return answer.out + '\n' + answer.err;
}

void take_flags(Engine& engine, const Answer& answer) {
    engine.flags = parse_flags(both(answer));
}

void take_llama_version(Engine& engine, const Answer& answer) {
    engine.version = parse_llama_version(both(answer));
}

/// "eSpeak NG text-to-speech: 1.51  Data at: …"
void take_espeak_version(Engine& engine, const Answer& answer) {
    const std::string text = both(answer);
    const std::size_t colon = text.find(": ");
    if (colon != std::string::npos) {
        engine.version = text.substr(colon + 2, text.find_first_of(" \n", colon + 2) - colon - 2);
    }
}

void take_devices(Engine& engine, const Answer& answer) {
    engine.devices = parse_device_list(both(answer));
}

void take_flm_version(Engine& engine, const Answer& answer) {
    if (engine.version.empty()) {
        engine.version = parse_flm_version(both(answer));
    }
}

/// Lines may stand before the object.
void take_validation(Engine& engine, const Answer& answer) {
    const std::size_t begin = answer.out.find('{');
    const std::size_t end = answer.out.rfind('}');
    if (begin == std::string::npos || end == std::string::npos || end < begin) {
        return;
    }
    const std::string text = answer.out.substr(begin, end - begin + 1);
    if (const auto parsed = json::parse(text); parsed && parsed->is_object()) {
        engine.validation = text;
    }
}

const std::vector<Asking>& askings() {
    static const std::vector<Asking> all{
        {"llama-server", {"--version"}, take_llama_version},
        {"llama-server", {"--list-devices"}, take_devices},
        {"llama-server", {"--help"}, take_flags},
        {"flm", {"version", "--json"}, take_flm_version},
        {"flm", {"--version"}, take_flm_version},
        {"flm", {"validate", "--json"}, take_validation},
        {"flm", {"--help"}, take_flags},
        {"whisper-server", {"--help"}, take_flags},
        {"sd-server", {"--help"}, take_flags},
        {"kokoro", {"--help"}, take_flags},
        {"espeak", {"--version"}, take_espeak_version},
    };
    return all;
}

bool is_program(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

/// A portable FLM keeps XRT's driver beside itself.
std::string plugin_beside(const fs::path& program) {
    const fs::path folder = program.parent_path();
    for (const fs::path& place : {folder, folder / "lib", folder.parent_path() / "lib"}) {
        const fs::path plugin = place / kXrtPluginName;
        std::error_code ignored;
        if (fs::exists(plugin, ignored)) {
            return plugin.lexically_normal().string();
        }
    }
    return "";
}

/// The programs that are there, each real file once for its kind.
std::vector<Engine> installed(const EngineSearch& search) {
    std::vector<Engine> engines;
    std::set<std::pair<std::string, std::string>> seen;
    const auto add = [&](const std::string& kind, const fs::path& path) {
        if (engines.size() >= kEnginesMax || !is_program(path)) {
            return;
        }
        std::error_code error;
        const fs::path real = fs::canonical(path, error);
        if (error || !seen.emplace(kind, real.string()).second) {
            return;
        }
        Engine& engine = engines.emplace_back();
        engine.kind = kind;
        engine.path = path.string();
        engine.xrt_plugin = kind == "flm" ? plugin_beside(real) : "";
    };
    for (const auto& [kind, program] : search.programs) {
        if (program.find('/') != std::string::npos) {
            add(kind, program);
            continue;
        }
        for (const std::string& directory : search.directories) {
            add(kind, fs::path(directory) / program);
        }
    }
    return engines;
}

struct Pending {
    std::size_t engine;
    const Asking* asking;
};

/// Why nothing came of asking, from the answers that did not come.
void note_problem(Engine& engine, const Asking& asking, const Answer& answer) {
    const bool told_nothing = answer.out.empty() && answer.err.empty();
    if (!engine.problem.empty() || (!answer.exit_code && answer.problem.empty())) {
        return;
    }
    const std::string command = fmt::format("{}", fmt::join(asking.arguments, " "));
    if (!answer.exit_code) {
        engine.problem = fmt::format("asked for `{}`, {}", command, answer.problem);
    } else if (*answer.exit_code != 0 && told_nothing) {
        engine.problem = fmt::format("asked for `{}`, it ended with status {} and said nothing",
                                     command, *answer.exit_code);
    } else if (*answer.exit_code == 127) {
        // The dynamic linker's: "…: cannot open shared object file".
        const std::string said = both(answer);
        engine.problem = std::string(trimmed(lines_of(trimmed(said)).front()));
    }
}

bool is_name_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

/// "AMD Radeon (RADV) (96000 MiB, 95000 MiB free)" → the text, and both figures.
void split_memory(EngineDevice& device) {
    std::string& text = device.description;
    const std::size_t open = text.rfind('(');
    const std::size_t comma = open == std::string::npos ? open : text.find(',', open);
    if (comma == std::string::npos || text.find("MiB", open) == std::string::npos) {
        return;
    }
    const std::string_view view = text;
    const auto total = leading_number(view.substr(open + 1));
    const auto free = leading_number(view.substr(comma + 1));
    if (total && free) {
        device.total_bytes = *total * kMebibyte;
        device.free_bytes = *free * kMebibyte;
        text = trimmed(view.substr(0, open));
    }
}

}  // namespace

std::vector<Engine> find_engines(const EngineSearch& search) {
    std::vector<Engine> engines = installed(search);
    std::vector<Question> questions;
    std::vector<Pending> pending;
    for (std::size_t i = 0; i < engines.size(); ++i) {
        for (const Asking& asking : askings()) {
            if (asking.kind != engines[i].kind) {
                continue;
            }
            Question question{{engines[i].path}, search.environment};
            question.argv.insert(question.argv.end(), asking.arguments.begin(),
                                 asking.arguments.end());
            questions.push_back(std::move(question));
            pending.push_back({i, &asking});
        }
    }
    const std::vector<Answer> answers = ask(questions, search.patience);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        Engine& engine = engines[pending[i].engine];
        pending[i].asking->take(engine, answers[i]);
        note_problem(engine, *pending[i].asking, answers[i]);
    }
    return engines;
}

std::vector<EngineDevice> parse_device_list(std::string_view text) {
    std::vector<EngineDevice> devices;
    bool in_list = false;
    for (const std::string_view line : lines_of(text)) {
        if (line.starts_with("Available devices")) {
            in_list = true;
            continue;
        }
        const std::size_t colon = line.find(": ");
        // Logs of the backends may stand between the lines, but never indented.
        if (!in_list || !line.starts_with(' ') || colon == std::string_view::npos) {
            continue;
        }
        const std::string_view name = trimmed(line.substr(0, colon));
        if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_character)) {
            continue;
        }
        EngineDevice& device = devices.emplace_back();
        device.name = name;
        device.description = trimmed(line.substr(colon + 2));
        split_memory(device);
    }
    return devices;
}

std::vector<std::string> parse_flags(std::string_view help) {
    std::vector<std::string> flags;
    std::set<std::string, std::less<>> seen;
    for (std::size_t at = help.find("--"); at != std::string_view::npos;) {
        std::size_t end = at + 2;
        while (end < help.size() && is_name_character(help[end])) {
            ++end;
        }
        const std::string_view flag = help.substr(at, end - at);
        const bool begins = at == 0 || !is_name_character(help[at - 1]);
        const bool named =
            flag.size() > 2 && std::isalnum(static_cast<unsigned char>(flag[2])) != 0;
        if (begins && named && seen.emplace(flag).second) {
            flags.emplace_back(flag);
        }
        at = help.find("--", end);
    }
    return flags;
}

std::string parse_llama_version(std::string_view text) {
    constexpr std::string_view kKey = "version: ";
    for (const std::string_view line : lines_of(text)) {
        if (line.starts_with(kKey)) {
            return std::string(trimmed(line.substr(kKey.size())));
        }
    }
    return "";
}

std::string parse_flm_version(std::string_view text) {
    const std::size_t begin = text.find('{');
    const std::size_t end = text.rfind('}');
    if (begin != std::string_view::npos && end != std::string_view::npos && begin < end) {
        if (const auto parsed = json::parse(text.substr(begin, end - begin + 1));
            parsed && parsed->is_object()) {
            const auto version = parsed->find("version");
            if (version != parsed->end() && version->is_string()) {
                std::string number = version->get<std::string>();
                number.erase(0, number.starts_with('v') ? 1 : 0);
                return number;
            }
        }
    }
    // "FLM v0.9.43"
    for (const std::string_view word : words_of(text)) {
        const std::string_view number = word.substr(word.starts_with('v') ? 1 : 0);
        const bool only_numbers = std::all_of(number.begin(), number.end(), [](char c) {
            return std::isdigit(static_cast<unsigned char>(c)) || c == '.';
        });
        if (only_numbers && std::count(number.begin(), number.end(), '.') >= 2) {
            return std::string(number);
        }
    }
    return "";
}

}  // namespace trilane::probe
