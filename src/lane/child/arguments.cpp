#include "lane/child/arguments.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace trilane::lane {
namespace {

bool names_option(std::string_view argument, std::string_view option) {
    return argument.starts_with(option) &&
           (argument.size() == option.size() || argument[option.size()] == '=');
}

}  // namespace

Status refuse_reserved(std::span<const std::string> args, std::span<const Reserved> reserved,
                       std::string_view lane) {
    for (const std::string& argument : args) {
        for (const Reserved& each : reserved) {
            if (names_option(argument, each.option)) {
                return fail(Fault::invalid, "lane {}: {} is Trilane's to set; {}", lane,
                            each.option, each.instead);
            }
        }
    }
    return {};
}

Arguments::Arguments(const HelpText& help, std::vector<std::string> user)
    : help_(help), user_(std::move(user)) {}

Arguments& Arguments::add(std::string text) {
    arguments_.push_back(std::move(text));
    return *this;
}

Arguments& Arguments::set(std::initializer_list<std::string_view> names, std::string_view value) {
    const auto name = help_.first_known({names.begin(), names.size()});
    if (!name.has_value() || user_gives(names)) {
        return *this;
    }
    arguments_.emplace_back(*name);
    if (!value.empty()) {
        arguments_.emplace_back(value);
    }
    return *this;
}

bool Arguments::user_gives(std::initializer_list<std::string_view> names) const {
    return std::any_of(user_.begin(), user_.end(), [names](const std::string& argument) {
        return std::any_of(names.begin(), names.end(),
                           [&](std::string_view name) { return names_option(argument, name); });
    });
}

std::vector<std::string> Arguments::finish() && {
    std::move(user_.begin(), user_.end(), std::back_inserter(arguments_));
    return std::move(arguments_);
}

}  // namespace trilane::lane
