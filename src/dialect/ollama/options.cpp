// The options of Ollama's requests, and its durations.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "dialect/ollama/ollama.h"
#include "dialect/ollama/reading.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

constexpr std::int64_t kIntegerMax = std::numeric_limits<std::int32_t>::max();
constexpr double kPenaltyMax = 2.0;        // presence and frequency, either sign
constexpr double kRepeatPenaltyMin = 0.1;  // a divisor: near zero it would make infinities
constexpr double kRepeatPenaltyMax = 10.0;
constexpr double kDurationMsMax = 1e15;  // thousands of years: for ever
/// Options that only some engines know: they get them as they are.
constexpr std::array kEngineOptions = {"repeat_last_n", "typical_p"};

Status read_float(const Fields& options, std::string_view name, double min, double max,
                  float& into) {
    TRILANE_TRY(const std::optional<double> value, options.number(name, min, max));
    if (value) {
        into = static_cast<float>(*value);
    }
    return {};
}

Status read_sampling(const Fields& options, job::Sampling& sampling) {
    sampling.temperature = kTemperature;
    sampling.top_k = kTopK;
    sampling.top_p = kTopP;
    TRILANE_TRY_STATUS(read_float(options, "temperature", 0, 2, sampling.temperature));
    TRILANE_TRY_STATUS(read_float(options, "top_p", 0, 1, sampling.top_p));
    sampling.top_p = std::max(sampling.top_p, std::numeric_limits<float>::min());
    TRILANE_TRY(const auto top_k, options.integer("top_k", -1, kIntegerMax));
    sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(top_k.value_or(kTopK), 0));
    TRILANE_TRY_STATUS(read_float(options, "min_p", 0, 1, sampling.min_p));
    TRILANE_TRY_STATUS(read_float(options, "repeat_penalty", kRepeatPenaltyMin, kRepeatPenaltyMax,
                                  sampling.repeat_penalty));
    TRILANE_TRY_STATUS(read_float(options, "presence_penalty", -kPenaltyMax, kPenaltyMax,
                                  sampling.presence_penalty));
    TRILANE_TRY_STATUS(read_float(options, "frequency_penalty", -kPenaltyMax, kPenaltyMax,
                                  sampling.frequency_penalty));
    TRILANE_TRY(const auto seed, options.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                                 std::numeric_limits<std::int64_t>::max()));
    if (seed && *seed != -1) {
        sampling.seed = static_cast<std::uint64_t>(*seed);
    }
    return {};
}

Status add_stop(const json::Value& value, const std::string& path, job::Request& request) {
    if (!value.is_string()) {
        return refuse(path, value, "a text");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kStopBytesMax) {
        return fail(Fault::invalid, "{}: got {} bytes; send at most {}", path, text.size(),
                    kStopBytesMax);
    }
    if (!text.empty()) {
        request.stop.push_back(text);
    }
    return {};
}

Status read_stop(const Fields& options, job::Request& request) {
    const json::Value* stop = options.find("stop");
    if (stop == nullptr) {
        return {};
    }
    if (stop->is_string()) {
        return add_stop(*stop, options.path_of("stop"), request);
    }
    if (!stop->is_array() || stop->size() > kStopTextsMax) {
        return refuse(options.path_of("stop"), *stop,
                      fmt::format("a text or an array of at most {}", kStopTextsMax));
    }
    for (std::size_t i = 0; i < stop->size(); ++i) {
        TRILANE_TRY_STATUS(
            add_stop((*stop)[i], fmt::format("{}[{}]", options.path_of("stop"), i), request));
    }
    return {};
}

/// One number of a duration and its unit, taken off the front, in milliseconds; NaN = malformed.
double take_part(std::string_view& text) {
    struct Unit {
        std::string_view name;
        double ms;
    };
    constexpr std::array kUnits = std::to_array<Unit>({{"ms", 1},
                                                       {"us", 1e-3},
                                                       {"µs", 1e-3},
                                                       {"ns", 1e-6},
                                                       {"h", 3.6e6},
                                                       {"m", 6e4},
                                                       {"s", 1e3}});
    double number = 0;
    const auto [end, ec] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (ec != std::errc() || !std::isfinite(number) || number < 0) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) {
        return number * 1e3;  // seconds, as the number alone means
    }
    for (const Unit& unit : kUnits) {
        if (text.starts_with(unit.name)) {
            text.remove_prefix(unit.name.size());
            return number * unit.ms;
        }
    }
    return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::string_view rest = text;
    const bool negative = rest.starts_with('-');
    if (negative || rest.starts_with('+')) {
        rest.remove_prefix(1);
    }
    double ms = rest.empty() ? std::numeric_limits<double>::quiet_NaN() : 0;
    while (!rest.empty() && !std::isnan(ms)) {
        ms += take_part(rest);
    }
    if (std::isnan(ms)) {
        return fail(Fault::invalid,
                    "got \"{}\"; send seconds, or a text such as \"5m\", \"24h\" or \"-1\"",
                    utf8_clipped(text, 64));
    }
    if (negative || ms > kDurationMsMax) {
        return std::chrono::milliseconds(ms == 0 ? 0 : -1);
    }
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(ms)));
}

Result<json::Value> merged_options(const Fields& body, const std::string& preset) {
    json::Value options = json::Value::object();
    if (!preset.empty()) {
        TRILANE_TRY(options, json::parse(preset));
    }
    TRILANE_TRY(const json::Value* given, body.object("options"));
    if (given != nullptr) {
        for (const auto& [name, value] : given->items()) {
            if (!value.is_null()) {
                options[name] = value;
            }
        }
    }
    return options;
}

Result<std::optional<std::uint32_t>> read_options(const json::Value& object,
                                                  job::Request& request) {
    const Fields options(object, "options");
    TRILANE_TRY_STATUS(read_sampling(options, request.sampling));
    TRILANE_TRY_STATUS(read_stop(options, request));
    // −1 is as far as the model goes, −2 until the context is full: the same here.
    TRILANE_TRY(const auto most, options.integer("num_predict", -2, kIntegerMax));
    if (most && *most > 0) {
        request.max_tokens = static_cast<std::uint32_t>(*most);
    }
    for (const char* name : kEngineOptions) {
        TRILANE_TRY(const auto number, options.number(name, -kIntegerMax, kIntegerMax));
        if (number) {
            request.extra.emplace(name, json::dump(*options.find(name)));
        }
    }
    TRILANE_TRY(const auto context, options.integer("num_ctx", 0, kContextTokensMax));
    return context.value_or(0) > 0 ? std::optional(static_cast<std::uint32_t>(*context))
                                   : std::nullopt;
}

Status check_parameters(std::string_view json_text) {
    TRILANE_TRY(const json::Value options, json::parse(json_text));
    if (!options.is_object()) {
        return refuse("parameters", options, "an object of options");
    }
    job::Request ignored;
    return read_options(options, ignored).map([](const auto&) {});
}

}  // namespace trilane::dialect::ollama
