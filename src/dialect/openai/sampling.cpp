#include "dialect/openai/sampling.h"

#include <algorithm>
#include <limits>

#include "base/utf8.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr double kPenaltyMax = 2.0;        // presence and frequency, either sign
constexpr double kRepeatPenaltyMin = 0.1;  // a divisor: near zero it would make infinities
constexpr double kRepeatPenaltyMax = 10.0;
constexpr double kBiasMax = 100.0;

Status read_logit_bias(const Fields& body, job::Sampling& sampling) {
    TRILANE_TRY(const json::Value* biases, body.object("logit_bias"));
    if (biases == nullptr) {
        return {};
    }
    if (biases->size() > kLogitBiasMax) {
        return fail(Fault::invalid, "logit_bias: got {} entries; send at most {}", biases->size(),
                    kLogitBiasMax);
    }
    const Fields fields(*biases, "logit_bias");
    for (const auto& [key, value] : biases->items()) {
        const bool digits = !key.empty() && key.size() <= 10 &&
                            key.find_first_not_of("0123456789") == std::string::npos;
        const std::int64_t id = digits ? std::stoll(key) : -1;
        if (id < 0 || id > kTokenIdMax) {
            return fail(Fault::invalid, "logit_bias: got the key {}; send token ids such as \"42\"",
                        json::dump(json::Value(utf8_clipped(key, 32))));
        }
        TRILANE_TRY(const std::optional<double> bias, fields.number(key, -kBiasMax, kBiasMax));
        if (!bias) {
            return refuse(fields.path_of(key), value, "a number from -100 to 100");
        }
        sampling.logit_bias[static_cast<std::int32_t>(id)] = static_cast<float>(*bias);
    }
    return {};
}

/// Seeds are any 64-bit integer, signed or not; −1 asks for a fresh one, as llama.cpp's clients do.
Status read_seed(const Fields& body, job::Sampling& sampling) {
    const json::Value* seed = body.find("seed");
    if (seed == nullptr) {
        return {};
    }
    if (seed->is_number_unsigned()) {
        sampling.seed = seed->get<std::uint64_t>();
        return {};
    }
    const auto number = whole_number(*seed);
    if (!number) {
        return refuse("seed", *seed, "an integer of at most 64 bits");
    }
    if (*number != -1) {
        sampling.seed = static_cast<std::uint64_t>(*number);
    }
    return {};
}

Status read_float(const Fields& body, std::string_view name, double min, double max, float& into) {
    TRILANE_TRY(const std::optional<double> value, body.number(name, min, max));
    if (value) {
        into = static_cast<float>(*value);
    }
    return {};
}

Status add_stop(const json::Value& value, const std::string& path, job::Request& request) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return refuse(path, value, "a text of at least one character");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kStopBytesMax) {
        return fail(Fault::invalid, "{}: got {} bytes; send at most {}", path, text.size(),
                    kStopBytesMax);
    }
    request.stop.push_back(text);
    return {};
}

}  // namespace

Status read_sampling(const Fields& body, job::Sampling& sampling) {
    TRILANE_TRY_STATUS(read_float(body, "temperature", 0, 2, sampling.temperature));
    TRILANE_TRY_STATUS(read_float(body, "top_p", 0, 1, sampling.top_p));
    // The smallest set is one token: what top_p 0 means to the clients that send it.
    sampling.top_p = std::max(sampling.top_p, std::numeric_limits<float>::min());
    TRILANE_TRY(const auto top_k, body.integer("top_k", -1, kTokenIdMax));
    sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(top_k.value_or(0), 0));
    TRILANE_TRY_STATUS(read_float(body, "min_p", 0, 1, sampling.min_p));
    for (const std::string_view name : {"repetition_penalty", "repeat_penalty"}) {
        TRILANE_TRY_STATUS(
            read_float(body, name, kRepeatPenaltyMin, kRepeatPenaltyMax, sampling.repeat_penalty));
    }
    TRILANE_TRY_STATUS(
        read_float(body, "presence_penalty", -kPenaltyMax, kPenaltyMax, sampling.presence_penalty));
    TRILANE_TRY_STATUS(read_float(body, "frequency_penalty", -kPenaltyMax, kPenaltyMax,
                                  sampling.frequency_penalty));
    TRILANE_TRY_STATUS(read_logit_bias(body, sampling));
    return read_seed(body, sampling);
}

Status read_stop(const Fields& body, job::Request& request) {
    const json::Value* stop = body.find("stop");
    if (stop == nullptr) {
        return {};
    }
    if (!stop->is_array()) {
        return stop->is_string() ? add_stop(*stop, "stop", request)
                                 : refuse("stop", *stop, "a string or an array of up to 4 strings");
    }
    if (stop->size() > kStopTextsMax) {
        return fail(Fault::invalid, "stop: got {} texts; send at most {}", stop->size(),
                    kStopTextsMax);
    }
    for (std::size_t i = 0; i < stop->size(); ++i) {
        TRILANE_TRY_STATUS(add_stop((*stop)[i], fmt::format("stop[{}]", i), request));
    }
    return {};
}

}  // namespace trilane::dialect::openai
