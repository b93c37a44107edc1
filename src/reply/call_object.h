// CallObject: {"name": …, "arguments": {…}}, in whatever order and with whatever else, read byte by
// byte: the arguments come out while they are still being written, as soon as the tool is known.
// ArgumentsObject: arguments that stand alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "reply/json_scanner.h"

namespace trilane::reply {

/// Arguments as one JSON object.
class ArgumentsObject {
public:
    using Step = JsonScanner::Step;

    Step push(char c);
    /// What has come since the last call of this.
    std::string take() { return std::exchange(out_, {}); }

private:
    JsonScanner scanner_;
    std::string out_;
};

class CallObject {
public:
    using Step = JsonScanner::Step;
    using IsTool = std::function<bool(std::string_view)>;

    /// With `needs_arguments` an object without them is no call.
    CallObject(IsTool is_tool, bool needs_arguments);

    /// `bad` before is_call(): these bytes were no call of a known tool; after it: the model broke
    /// off well-formed JSON.
    Step push(char c);

    /// The tool is known and its arguments have begun: this is a call, whatever comes.
    [[nodiscard]] bool is_call() const { return is_call_; }
    /// The arguments are whole.
    [[nodiscard]] bool has_arguments() const { return has_arguments_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    std::string take_arguments() { return std::exchange(out_, {}); }

private:
    Step scan(char c);
    void begin_value(char c);
    bool on_byte(char c);
    bool on_value();
    bool on_arguments(std::string text);
    bool on_end();

    IsTool is_tool_;
    bool needs_arguments_;
    JsonScanner scanner_;
    std::string key_;
    std::string name_;
    std::string value_;  // of the member that is being read, when it is kept
    std::string kept_;   // arguments that came before the name
    std::string out_;
    char kind_ = 0;         // first byte of the value that is being read; 0 = none is
    bool streams_ = false;  // the value goes straight out
    bool is_call_ = false;
    bool has_arguments_ = false;
};

}  // namespace trilane::reply
