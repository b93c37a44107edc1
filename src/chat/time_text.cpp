// strftime for one moment, without the C library's locale and time zone.
#include <fmt/format.h>

#include <ctime>

#include "chat/builtins.h"

namespace trilane::chat {
namespace {

constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

/// The number a conversion shows and how wide it is padded with zeros, or a width of 0.
std::pair<int, int> number_of(char conversion, const std::tm& time) {
    const int hour12 = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
    switch (conversion) {
        case 'd':
            return {time.tm_mday, 2};
        case 'm':
            return {time.tm_mon + 1, 2};
        case 'Y':
            return {time.tm_year + 1900, 1};
        case 'y':
            return {time.tm_year % 100, 2};
        case 'H':
            return {time.tm_hour, 2};
        case 'I':
            return {hour12, 2};
        case 'M':
            return {time.tm_min, 2};
        case 'S':
            return {time.tm_sec, 2};
        case 'j':
            return {time.tm_yday + 1, 3};
        case 'w':
            return {time.tm_wday, 1};
        case 'u':
            return {time.tm_wday == 0 ? 7 : time.tm_wday, 1};
        default:
            return {0, 0};
    }
}

/// What a conversion is short for, or nothing.
std::string_view expansion_of(char conversion) {
    switch (conversion) {
        case 'F':
            return "%Y-%m-%d";
        case 'T':
            return "%H:%M:%S";
        case 'R':
            return "%H:%M";
        case 'D':
        case 'x':
            return "%m/%d/%y";
        case 'X':
            return "%H:%M:%S";
        case 'c':
            return "%a %b %e %H:%M:%S %Y";
        default:
            return {};
    }
}

std::string convert(char conversion, bool padded, const std::tm& time, std::int64_t unix_s) {
    if (const auto [number, width] = number_of(conversion, time); width > 0) {
        return padded ? fmt::format("{:0{}d}", number, width) : fmt::format("{}", number);
    }
    const auto day = kDays[static_cast<std::size_t>(time.tm_wday)];
    const auto month = kMonths[static_cast<std::size_t>(time.tm_mon)];
    switch (conversion) {
        case 'A':
            return std::string(day);
        case 'a':
            return std::string(day.substr(0, 3));
        case 'B':
            return std::string(month);
        case 'b':
        case 'h':
            return std::string(month.substr(0, 3));
        case 'e':
            return fmt::format("{:2d}", time.tm_mday);
        case 'p':
            return time.tm_hour < 12 ? "AM" : "PM";
        case 's':
            return fmt::format("{}", unix_s);
        case 'n':
            return "\n";
        case 't':
            return "\t";
        case '%':
            return "%";
        case 'Z':
        case 'z':
            return "";  // Python's, for a time without a zone
        default:
            return std::string("%") + conversion;
    }
}

}  // namespace

std::string format_time(std::string_view format, std::int64_t unix_s) {
    const auto seconds = static_cast<std::time_t>(unix_s);
    std::tm time{};
    if (gmtime_r(&seconds, &time) == nullptr) {
        return {};
    }
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 >= format.size()) {
            out += format[i];
            continue;
        }
        const bool padded = format[++i] != '-' || i + 1 >= format.size();
        i += padded ? 0 : 1;
        const auto longer = expansion_of(format[i]);
        out +=
            longer.empty() ? convert(format[i], padded, time, unix_s) : format_time(longer, unix_s);
    }
    return out;
}

}  // namespace trilane::chat
