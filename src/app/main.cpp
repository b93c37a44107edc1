// trilane: one daemon and one command line. Reads the surroundings and the words, calls the verb.
#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "app/command_line.h"
#include "app/environment.h"
#include "app/output.h"
#include "app/verbs.h"

namespace {

using namespace trilane;

int fail_with(const Error& error) {
    app::print_error(fmt::format("trilane: {}\n", error.message));
    return app::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
    const app::Environment environment = app::read_environment();
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);

    const auto parsed = app::parse_command_line(arguments, environment);
    if (const auto* stop = std::get_if<app::Stop>(&parsed)) {
        if (stop->exit_code != app::kExitOk) {
            app::print_error(stop->text);
            return stop->exit_code;
        }
        const Status written = app::print(stop->text);
        return written ? app::kExitOk : fail_with(written.error());
    }

    const Result<int> done = std::visit([](const auto& options) { return app::perform(options); },
                                        std::get<app::Command>(parsed));
    return done ? *done : fail_with(done.error());
}
