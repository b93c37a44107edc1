// Parameters: "<parameter=p>value</parameter>…</function>" → one JSON object, as it is written. The
// tool's schema says which values are strings; those stream.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/fwd.h"

namespace trilane::reply {

class Parameters {
public:
    /// `schema` of the tool's arguments, as JSON text.
    explicit Parameters(std::string_view schema);

    /// Takes what it can from the front of `text`. True: the function has ended; the rest of `text`
    /// is what follows it.
    bool read(std::string& text);
    /// The answer ends here, with `text` left.
    void finish(std::string_view text);
    std::string take() { return std::exchange(out_, {}); }

private:
    enum class Shape { string, other, any };

    bool read_between(std::string& text);
    bool read_value(std::string& text);
    void begin(std::string_view name);
    void add(std::string_view value);
    void end_value();
    [[nodiscard]] Shape shape_of(const std::string& name) const;

    std::vector<std::pair<std::string, Shape>> shapes_;
    std::string out_ = "{";
    std::string value_;  // of a parameter that is no string, so far
    bool in_value_ = false;
    bool at_first_ = true;   // no parameter has come
    bool at_begin_ = false;  // of a value, where a line break does not count
    Shape shape_ = Shape::any;
};

}  // namespace trilane::reply
