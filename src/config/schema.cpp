#include "config/schema.h"

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <limits>
#include <map>
#include <type_traits>
#include <variant>

#include "plan/shape.h"

namespace trilane::config {

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

namespace {

constexpr std::uint64_t kContextTokensMax = 1U << 22U;
constexpr std::uint64_t kDaySeconds = 86'400;
constexpr std::uint64_t kYearSeconds = 366 * kDaySeconds;

std::string list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        out += (out.size() > 1 ? ", " : "") + toml_text(text);
    }
    return out + "]";
}

std::string yes_no(bool value) {
    return value ? "true" : "false";
}

template <class T>
std::string number(T value) {
    return fmt::format("{}", value);
}

using Server = ServerSection;
constexpr std::array<Key<Server>, 10> kServer{{
    {"host", "Address to listen on. Others than loopback ask for a key.",
     [](const Reading& r, Server& s) { r.text(s.host); },
     [](const Server& s) { return toml_text(s.host); }},
    {"port", "Port to listen on; 0 takes any free one.",
     [](const Reading& r, Server& s) { r.whole(s.port, 0, 65'535); },
     [](const Server& s) { return number(s.port); }},
    {"api_key_file", "File that holds the key clients must send; keys do not stand in this file.",
     [](const Reading& r, Server& s) { r.text(s.api_key_file); },
     [](const Server& s) { return toml_text(s.api_key_file); }},
    {"keys_file",
     "File of the keys that `trilane key` makes; empty: keys.json in Trilane's folder.",
     [](const Reading& r, Server& s) { r.text(s.keys_file); },
     [](const Server& s) { return toml_text(s.keys_file); }},
    {"tls_certificate", "PEM file with the certificate and its chain; empty: no TLS.",
     [](const Reading& r, Server& s) { r.text(s.tls_certificate); },
     [](const Server& s) { return toml_text(s.tls_certificate); }},
    {"tls_key", "PEM file with the certificate's private key.",
     [](const Reading& r, Server& s) { r.text(s.tls_key); },
     [](const Server& s) { return toml_text(s.tls_key); }},
    {"hosts", "Names, beside addresses and localhost, under which browsers may ask without a key.",
     [](const Reading& r, Server& s) { r.texts(s.hosts); },
     [](const Server& s) { return list(s.hosts); }},
    {"cors", "Web origins whose pages may call the API.",
     [](const Reading& r, Server& s) { r.texts(s.cors); },
     [](const Server& s) { return list(s.cors); }},
    {"patience", "How long running answers may go on after a stop signal.",
     [](const Reading& r, Server& s) { r.seconds(s.patience_s, 0, 3'600); },
     [](const Server& s) { return toml_text(seconds_text(s.patience_s)); }},
    {"log_level", "debug, info, warn, error or off.",
     [](const Reading& r, Server& s) {
         r.word(s.log_level, {"debug", "info", "warn", "error", "off"});
     },
     [](const Server& s) { return toml_text(s.log_level); }, true},
}};

using Memory = MemorySection;
void read_reserve(const Reading& r, Memory& m) {
    const auto share = r.number();
    if (share && *share > 0 && *share < 1) {
        m.reserve.share = *share;
        return;
    }
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
    r.bytes(bytes);
    if (bytes != std::numeric_limits<std::uint64_t>::max()) {
        m.reserve.bytes = bytes;
    }
}
constexpr std::array<Key<Memory>, 1> kMemory{{
    {"reserve",
     "Memory that is never planned, for the system and everybody else: a share of each pool such "
     "as 0.06 (within 1 and 8 GiB), or an amount such as \"4 GiB\".",
     read_reserve,
     [](const Memory& m) {
         return m.reserve.bytes ? toml_text(bytes_text(*m.reserve.bytes)) : number(m.reserve.share);
     },
     true},
}};

using Catalog = CatalogSection;
constexpr std::array<Key<Catalog>, 4> kCatalog{{
    {"directories", "Folders with GGUF files, besides the standard ones; \"~/\" is your home.",
     [](const Reading& r, Catalog& c) { r.texts(c.directories); },
     [](const Catalog& c) { return list(c.directories); }},
    {"hub_endpoint", "Where `trilane pull` gets models; empty: HF_ENDPOINT, or Hugging Face.",
     [](const Reading& r, Catalog& c) { r.text(c.hub_endpoint); },
     [](const Catalog& c) { return toml_text(c.hub_endpoint); }},
    {"disk_reserve", "Disk space that `trilane pull` and `trilane import` leave free.",
     [](const Reading& r, Catalog& c) { r.bytes(c.disk_reserve_bytes); },
     [](const Catalog& c) { return toml_text(bytes_text(c.disk_reserve_bytes)); }},
    {"watch", "Notice new and removed files while running.",
     [](const Reading& r, Catalog& c) { r.boolean(c.watch); },
     [](const Catalog& c) { return yes_no(c.watch); }},
}};

using Queue = QueueSection;
constexpr std::array<Key<Queue>, 4> kQueue{{
    {"length_max", "Answers that may wait per lane; more are refused with 429.",
     [](const Reading& r, Queue& q) { r.whole(q.length_max, 1, 65'536); },
     [](const Queue& q) { return number(q.length_max); }, true},
    {"per_client_max", "Of these, of one client: an API key or, without one, the request's `user`.",
     [](const Reading& r, Queue& q) { r.whole(q.per_client_max, 1, 65'536); },
     [](const Queue& q) { return number(q.per_client_max); }, true},
    {"wait_max", "How long one may wait, the load of its model included; then 503.",
     [](const Reading& r, Queue& q) { r.seconds(q.wait_s_max, 0, kDaySeconds); },
     [](const Queue& q) { return toml_text(seconds_text(q.wait_s_max)); }, true},
    {"batch_wait_ms_max",
     "How long one model's requests may keep another model out of its room, in milliseconds.",
     [](const Reading& r, Queue& q) { r.whole(q.batch_wait_ms_max, 0, 3'600'000); },
     [](const Queue& q) { return number(q.batch_wait_ms_max); }, true},
}};

using Usage = UsageSection;
constexpr std::array<Key<Usage>, 3> kUsage{{
    {"record", "Sum up who used which model how much, for `trilane usage`.",
     [](const Reading& r, Usage& u) { r.boolean(u.record); },
     [](const Usage& u) { return yes_no(u.record); }},
    {"file", "SQLite file of the sums; empty: usage.db in Trilane's state folder.",
     [](const Reading& r, Usage& u) { r.text(u.file); },
     [](const Usage& u) { return toml_text(u.file); }},
    {"days_kept", "Days after which sums are forgotten.",
     [](const Reading& r, Usage& u) { r.whole(u.days_kept, 1, 36'500); },
     [](const Usage& u) { return number(u.days_kept); }},
}};

using Telemetry = TelemetrySection;
constexpr std::array<Key<Telemetry>, 1> kTelemetry{{
    {"otlp_url",
     "OpenTelemetry collector that gets a span of each request over OTLP/HTTP, such as "
     "\"http://127.0.0.1:4318\"; empty: none. Spans hold no prompts and no answers.",
     [](const Reading& r, Telemetry& t) { r.text(t.otlp_url); },
     [](const Telemetry& t) { return toml_text(t.otlp_url); }},
}};

std::string shown(const std::string& value, lane::OptionType /*type*/) {
    return toml_text(value);
}
std::string shown(const std::vector<std::string>& value, lane::OptionType /*type*/) {
    return list(value);
}
std::string shown(const std::map<std::string, std::string>& value, lane::OptionType /*type*/) {
    std::string out = "{";
    for (const auto& [name, text] : value) {
        out +=
            fmt::format("{} {} = {}", out.size() > 1 ? "," : "", toml_text(name), toml_text(text));
    }
    return out + (out.size() > 1 ? " }" : "}");
}
template <std::same_as<bool> Flag>
std::string shown(Flag value, lane::OptionType /*type*/) {
    return yes_no(value);
}
std::string shown(std::uint64_t value, lane::OptionType type) {
    return type == lane::OptionType::bytes     ? toml_text(bytes_text(value))
           : type == lane::OptionType::seconds ? toml_text(seconds_text(value))
                                               : number(value);
}

void read_as(const Reading& r, const lane::Option& option, std::string& into) {
    if (option.type == lane::OptionType::device) {
        r.device(into);
    } else {
        r.text(into);
    }
}
void read_as(const Reading& r, const lane::Option& /*option*/, std::vector<std::string>& into) {
    r.texts(into);
}
void read_as(const Reading& r, const lane::Option& /*option*/,
             std::map<std::string, std::string>& into) {
    r.pairs(into);
}
void read_as(const Reading& r, const lane::Option& /*option*/, bool& into) {
    r.boolean(into);
}
void read_as(const Reading& r, const lane::Option& option, std::uint64_t& into) {
    if (option.type == lane::OptionType::bytes) {
        r.bytes(into);
    } else {
        r.whole(into, option.min, option.max);
    }
}
void read_as(const Reading& r, const lane::Option& option, std::uint32_t& into) {
    if (option.type == lane::OptionType::seconds) {
        r.seconds(into, option.min, option.max);
    } else {
        r.whole(into, option.min, option.max);
    }
}

/// The settings, or the part of them, that a field of `Part` is in.
template <class Value, class Part, class Settings>
auto& part_with(Value Part::*field, Settings& settings) {
    if constexpr (std::is_same_v<Part, engine::Options>) {
        return settings.engine.*field;
    } else {
        return settings.*field;
    }
}

using Model = ModelSection;
void read_kv(const Reading& r, Model& m) {
    const auto text = r.as_text();
    const auto type = text ? plan::kv_type_from(*text) : Result<plan::KvType>();
    if (!text || !type) {
        r.refuse("\"f16\", \"q8_0\" or \"q4_0\"");
        return;
    }
    m.wishes.kv = *type;
}
constexpr std::array<Key<Model>, 10> kModel{{
    {"lanes", "Where it may be loaded, best first; empty: wherever it can.",
     [](const Reading& r, Model& m) { r.texts(m.lanes); },
     [](const Model& m) { return list(m.lanes); }, true},
    {"context", "Context of one request in tokens; 0: what the model was made for, or what fits.",
     [](const Reading& r, Model& m) { r.whole(m.wishes.context_tokens, 0, kContextTokensMax); },
     [](const Model& m) { return number(m.wishes.context_tokens); }, true},
    {"parallel", "Requests it answers at once; 0: the lane's default.",
     [](const Reading& r, Model& m) { r.whole(m.wishes.parallel, 0, 256); },
     [](const Model& m) { return number(m.wishes.parallel); }, true},
    {"kv", "Type of its KV cache where llama-server runs it: \"f16\", \"q8_0\" or \"q4_0\".",
     read_kv, [](const Model& m) { return toml_text(plan::kv_type_name(m.wishes.kv)); }, true},
    {"args", "Further arguments of its program; the native engine takes none.",
     [](const Reading& r, Model& m) { r.texts(m.wishes.args); },
     [](const Model& m) { return list(m.wishes.args); }, true},
    {"pin",
     "Never evicted; loaded at the start, and again should it crash. `trilane unload` ends that "
     "until it is next loaded.",
     [](const Reading& r, Model& m) { r.boolean(m.pin); },
     [](const Model& m) { return yes_no(m.pin); }, true},
    {"preload", "Loaded at the start.", [](const Reading& r, Model& m) { r.boolean(m.preload); },
     [](const Model& m) { return yes_no(m.preload); }, true},
    {"keep_warm", "Idle for so long, it is unloaded; 0: kept until its room is needed.",
     [](const Reading& r, Model& m) { r.seconds(m.keep_warm_s, 0, kYearSeconds); },
     [](const Model& m) { return toml_text(seconds_text(m.keep_warm_s)); }, true},
    {"priority", "Larger stays longer when room is needed.",
     [](const Reading& r, Model& m) { r.signed_whole(m.priority, -1000, 1000); },
     [](const Model& m) { return number(m.priority); }, true},
    {"aliases", "Other names that clients may use for it; \"claude-*\": all that begin so.",
     [](const Reading& r, Model& m) { r.texts(m.aliases); },
     [](const Model& m) { return list(m.aliases); }, true},
}};

}  // namespace

std::span<const Key<ServerSection>> server_keys() {
    return kServer;
}
std::span<const Key<MemorySection>> memory_keys() {
    return kMemory;
}
std::span<const Key<CatalogSection>> catalog_keys() {
    return kCatalog;
}
std::span<const Key<UsageSection>> usage_keys() {
    return kUsage;
}
std::span<const Key<TelemetrySection>> telemetry_keys() {
    return kTelemetry;
}
std::span<const Key<QueueSection>> queue_keys() {
    return kQueue;
}
std::vector<LaneKey> lane_keys(const lane::Descriptor& kind) {
    std::vector<LaneKey> keys{{nullptr, "kind", std::string(kind.summary) + "."}};
    for (const lane::Option& option : kind.options) {
        std::string text(option.text);
        if (!option.usual.empty()) {
            text += fmt::format(" Default: {}.", option.usual);
        }
        keys.push_back({&option, option.key, std::move(text)});
    }
    return keys;
}

void LaneKey::read(const Reading& value, lane::Settings& into) const {
    if (option == nullptr) {
        value.text(into.kind);
        return;
    }
    std::visit([&](auto field) { read_as(value, *option, part_with(field, into)); }, option->field);
}

std::string LaneKey::show(const lane::Settings& settings) const {
    if (option == nullptr) {
        return toml_text(settings.kind);
    }
    return std::visit([&](auto field) { return shown(part_with(field, settings), option->type); },
                      option->field);
}

std::span<const Key<ModelSection>> model_keys() {
    return kModel;
}

}  // namespace trilane::config
