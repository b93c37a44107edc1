// HelpText: which options a program knows, by what its --help prints. Engines rename and drop
// options from version to version; who starts them asks first.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace trilane::lane {

class HelpText {
public:
    HelpText() = default;
    /// Understands the forms of llama.cpp, whisper.cpp, stable-diffusion.cpp, boost's
    /// program_options and clap.
    explicit HelpText(std::string_view text);

    [[nodiscard]] bool empty() const { return options_.empty(); }
    [[nodiscard]] bool knows(std::string_view option) const;
    /// Whether it is described as followed by a value.
    [[nodiscard]] bool takes_value(std::string_view option) const;
    /// The first of `names` that the program knows.
    [[nodiscard]] std::optional<std::string_view> first_known(
        std::span<const std::string_view> names) const;

private:
    void read_line(std::string_view line);

    std::map<std::string, bool, std::less<>> options_;  // "--port" → takes a value
};

}  // namespace trilane::lane
