#include "grammar/number_range.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "grammar/json_text.h"

namespace trilane::grammar {
namespace {

Part digit(Builder& b, char lo, char hi) {
    if (lo > hi) {
        return b.either({});
    }
    return b.chars({{static_cast<char32_t>(lo), static_cast<char32_t>(hi)}});
}

Part digits(Builder& b, std::size_t min, std::size_t max) {
    return b.repeat(digit(b, '0', '9'), static_cast<std::uint32_t>(min),
                    static_cast<std::uint32_t>(max));
}

constexpr char next(char c) {
    return static_cast<char>(c + 1);
}
constexpr char before(char c) {
    return static_cast<char>(c - 1);
}

/// As many digits as `low` and `high` have, from one to the other; an end that is empty is none.
Part same_length(Builder& b, std::string_view low, std::string_view high, std::size_t length) {
    if (length == 0) {
        return b.literal("");
    }
    const auto rest = [](std::string_view s) { return s.empty() ? s : s.substr(1); };
    const char lo = low.empty() ? '0' : low[0];
    const char hi = high.empty() ? '9' : high[0];
    if (low.empty() && high.empty()) {
        return digits(b, length, length);
    }
    if (lo == hi && !low.empty() && !high.empty()) {
        return b.sequence({digit(b, lo, hi), same_length(b, rest(low), rest(high), length - 1)});
    }
    std::vector<Part> ways;
    if (!low.empty()) {
        ways.push_back(b.sequence({digit(b, lo, lo), same_length(b, rest(low), {}, length - 1)}));
    }
    if (!high.empty()) {
        ways.push_back(b.sequence({digit(b, hi, hi), same_length(b, {}, rest(high), length - 1)}));
    }
    ways.push_back(
        b.sequence({digit(b, low.empty() ? lo : next(lo), high.empty() ? hi : before(hi)),
                    digits(b, length - 1, length - 1)}));
    return b.either(std::move(ways));
}

/// Natural numbers in [low, high] without leading zeros.
Part naturals(Builder& b, std::int64_t low, std::int64_t high) {
    std::vector<Part> ways;
    std::int64_t power = 10;  // the least number with one more digit
    for (std::size_t length = 1; length <= kDigitsMax; ++length, power *= 10) {
        const std::int64_t first = std::max(low, length == 1 ? 0 : power / 10);
        const std::int64_t last = std::min(high, power - 1);
        if (first <= last) {
            ways.push_back(same_length(b, std::to_string(first), std::to_string(last), length));
        }
    }
    return b.either(std::move(ways));
}

/// A bound without its sign, in digits: up to 15 before and behind the point.
struct Decimal {
    std::int64_t whole = 0;
    std::string fraction;  ///< no zeros at its end
    bool inclusive = true;
};

Result<Decimal> decimal_of(NumberBound bound) {
    const double value = std::abs(bound.value);
    std::array<char, 400> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
    const std::string_view all(text.data(), static_cast<std::size_t>(end - text.data()));
    const std::size_t point = std::min(all.find('.'), all.size());
    const std::string_view whole = all.substr(0, point);
    const std::string_view fraction = point < all.size() ? all.substr(point + 1) : "";
    if (!(value < 1e15) || whole.size() + fraction.size() > kDigitsMax) {
        return fail(Fault::invalid, "the bound {} has more than {} digits", bound.value,
                    kDigitsMax);
    }
    Decimal decimal;
    std::from_chars(whole.data(), whole.data() + whole.size(), decimal.whole);
    decimal.fraction = fraction;
    decimal.inclusive = !bound.exclusive;
    return decimal;
}

/// What may stand behind the whole part of a bound: "" or a point and digits, up to `length`.
class Fraction {
public:
    Fraction(Builder& b, const Decimal* low, const Decimal* high, std::size_t length)
        : b_(b), low_(low), high_(high), length_(length) {}

    Part part() {
        std::vector<Part> ways = {
            b_.sequence({b_.literal("."), more(0, low_ != nullptr, high_ != nullptr)})};
        if (may_end(0, low_ != nullptr, high_ != nullptr)) {
            ways.push_back(b_.literal(""));
        }
        return b_.either(std::move(ways));
    }

private:
    static char digit_at(const Decimal& bound, std::size_t at) {
        return at < bound.fraction.size() ? bound.fraction[at] : '0';
    }
    /// So far the digits are the bound's own (`at_low`, `at_high`): whether they may stop at `at`.
    [[nodiscard]] bool may_end(std::size_t at, bool at_low, bool at_high) const {
        if (at_low && (at < low_->fraction.size() || !low_->inclusive)) {
            return false;
        }
        return !at_high || at < high_->fraction.size() || high_->inclusive;
    }

    Part more(std::size_t at, bool at_low, bool at_high) {
        if (at >= length_) {
            return b_.either({});
        }
        const char lo = at_low ? digit_at(*low_, at) : '0';
        const char hi = at_high ? digit_at(*high_, at) : '9';
        std::vector<Part> ways;
        const auto way = [&](char first, char last, bool low, bool high) {
            if (first > last) {
                return;
            }
            std::vector<Part> tails;
            if (!low && !high) {
                tails.push_back(digits(b_, 0, length_ - at - 1));
            } else {
                tails.push_back(more(at + 1, low, high));
                if (may_end(at + 1, low, high)) {
                    tails.push_back(b_.literal(""));
                }
            }
            ways.push_back(b_.sequence({digit(b_, first, last), b_.either(std::move(tails))}));
        };
        if (at_low && at_high && lo == hi) {
            way(lo, hi, true, true);
            return b_.either(std::move(ways));
        }
        if (at_low && lo <= hi) {
            way(lo, lo, true, false);
        }
        if (at_high && lo <= hi) {
            way(hi, hi, false, true);
        }
        way(at_low ? next(lo) : lo, at_high ? before(hi) : hi, false, false);
        return b_.either(std::move(ways));
    }

    Builder& b_;
    const Decimal* low_;
    const Decimal* high_;
    std::size_t length_;
};

Part magnitudes(Builder& b, const Decimal& low, const std::optional<Decimal>& high,
                std::size_t fraction_digits) {
    const Decimal* const top = high.has_value() ? &*high : nullptr;
    const auto whole = [&](std::int64_t n) { return b.literal(std::to_string(n)); };
    if (top != nullptr && top->whole == low.whole) {
        return b.sequence({whole(low.whole), Fraction(b, &low, top, fraction_digits).part()});
    }
    std::vector<Part> ways = {
        b.sequence({whole(low.whole), Fraction(b, &low, nullptr, fraction_digits).part()})};
    const std::int64_t last = top != nullptr ? top->whole - 1 : kIntegerMax;
    if (low.whole < last) {
        ways.push_back(b.sequence({naturals(b, low.whole + 1, last),
                                   Fraction(b, nullptr, nullptr, fraction_digits).part()}));
    }
    if (top != nullptr && top->whole > low.whole) {
        ways.push_back(
            b.sequence({whole(top->whole), Fraction(b, nullptr, top, fraction_digits).part()}));
    }
    return b.either(std::move(ways));
}

std::size_t whole_digits(const std::optional<NumberBound>& bound) {
    return bound.has_value() && std::abs(bound->value) < 1e15
               ? std::to_string(static_cast<std::int64_t>(std::abs(bound->value))).size()
               : 1;
}

bool empty(const std::optional<NumberBound>& min, const std::optional<NumberBound>& max) {
    return min.has_value() && max.has_value() &&
           (min->value > max->value ||
            (min->value == max->value && (min->exclusive || max->exclusive)));
}

}  // namespace

Result<Part> integer_between(Builder& b, std::optional<NumberBound> min,
                             std::optional<NumberBound> max) {
    double lowest = -static_cast<double>(kIntegerMax);
    double highest = static_cast<double>(kIntegerMax);
    if (min.has_value()) {
        const double up = std::ceil(min->value);
        lowest = std::max(lowest, min->exclusive && up == min->value ? up + 1 : up);
    }
    if (max.has_value()) {
        const double down = std::floor(max->value);
        highest = std::min(highest, max->exclusive && down == max->value ? down - 1 : down);
    }
    if (!(lowest <= highest)) {
        return fail(Fault::invalid, "no integer of up to {} digits lies between its bounds",
                    kDigitsMax);
    }
    const auto low = static_cast<std::int64_t>(lowest);
    const auto high = static_cast<std::int64_t>(highest);
    std::vector<Part> ways;
    if (high >= 0) {
        ways.push_back(naturals(b, std::max<std::int64_t>(low, 0), high));
    }
    if (low < 0) {
        ways.push_back(
            b.sequence({b.literal("-"), naturals(b, std::max<std::int64_t>(1, -high), -low)}));
    }
    return b.either(std::move(ways));
}

Result<Part> decimal_between(Builder& b, std::optional<NumberBound> min,
                             std::optional<NumberBound> max) {
    if (empty(min, max)) {
        return fail(Fault::invalid, "no number lies between its bounds");
    }
    // Near a bound a number has as many whole digits as the bound.
    const std::size_t fraction_digits = kDigitsMax - std::max(whole_digits(min), whole_digits(max));
    std::optional<Decimal> low;
    std::optional<Decimal> high;
    if (min.has_value()) {
        TRILANE_TRY(low, decimal_of(*min));
    }
    if (max.has_value()) {
        TRILANE_TRY(high, decimal_of(*max));
    }
    for (const auto* bound : {&low, &high}) {
        if (bound->has_value() && (*bound)->fraction.size() > fraction_digits) {
            return fail(Fault::invalid, "its bounds have more than {} digits together", kDigitsMax);
        }
    }
    const Decimal zero{0, "", true};
    const Decimal above_zero{0, "", false};
    std::vector<Part> ways;
    if (!max.has_value() || max->value > 0 || (max->value == 0 && !max->exclusive)) {
        ways.push_back(
            magnitudes(b, min.has_value() && min->value >= 0 ? *low : zero, high, fraction_digits));
    }
    if (!min.has_value() || min->value < 0) {
        const Decimal& least =
            max.has_value() && max->value <= 0
                ? (max->value == 0 ? (max->exclusive ? above_zero : zero) : *high)
                : zero;
        ways.push_back(b.sequence({b.literal("-"), magnitudes(b, least, low, fraction_digits)}));
    }
    return b.either(std::move(ways));
}

}  // namespace trilane::grammar
