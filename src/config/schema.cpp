#include "config/schema.h"

#include <fmt/format.h>

#include <array>

#include "plan/shape.h"

namespace trilane::config {
namespace {

constexpr std::uint64_t kContextTokensMax = 1U << 22U;
constexpr std::uint64_t kDaySeconds = 86'400;
constexpr std::uint64_t kYearSeconds = 366 * kDaySeconds;

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        out += (out.size() > 1 ? ", " : "") + quoted(text);
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

std::string kv_text(plan::KvType type) {
    switch (type) {
        case plan::KvType::q8_0:
            return "\"q8_0\"";
        case plan::KvType::q4_0:
            return "\"q4_0\"";
        case plan::KvType::f16:
            break;
    }
    return "\"f16\"";
}

using Server = ServerSection;
constexpr std::array<Key<Server>, 10> kServer{{
    {"host", "Address to listen on. Others than loopback ask for a key.",
     [](const Reading& r, Server& s) { r.text(s.host); },
     [](const Server& s) { return quoted(s.host); }},
    {"port", "Port to listen on; 0 takes any free one.",
     [](const Reading& r, Server& s) { r.whole(s.port, 0, 65'535); },
     [](const Server& s) { return number(s.port); }},
    {"api_key_file", "File that holds the key clients must send; keys do not stand in this file.",
     [](const Reading& r, Server& s) { r.text(s.api_key_file); },
     [](const Server& s) { return quoted(s.api_key_file); }},
    {"keys_file",
     "File of the keys that `trilane key` makes; empty: keys.json in Trilane's folder.",
     [](const Reading& r, Server& s) { r.text(s.keys_file); },
     [](const Server& s) { return quoted(s.keys_file); }},
    {"tls_certificate", "PEM file with the certificate and its chain; empty: no TLS.",
     [](const Reading& r, Server& s) { r.text(s.tls_certificate); },
     [](const Server& s) { return quoted(s.tls_certificate); }},
    {"tls_key", "PEM file with the certificate's private key.",
     [](const Reading& r, Server& s) { r.text(s.tls_key); },
     [](const Server& s) { return quoted(s.tls_key); }},
    {"hosts", "Names, beside addresses and localhost, under which browsers may ask without a key.",
     [](const Reading& r, Server& s) { r.texts(s.hosts); },
     [](const Server& s) { return list(s.hosts); }},
    {"cors", "Web origins whose pages may call the API.",
     [](const Reading& r, Server& s) { r.texts(s.cors); },
     [](const Server& s) { return list(s.cors); }},
    {"patience", "How long running answers may go on after a stop signal.",
     [](const Reading& r, Server& s) { r.seconds(s.patience_s, 3'600); },
     [](const Server& s) { return quoted(seconds_text(s.patience_s)); }},
    {"log_level", "debug, info, warn, error or off.",
     [](const Reading& r, Server& s) {
         r.word(s.log_level, {"debug", "info", "warn", "error", "off"});
     },
     [](const Server& s) { return quoted(s.log_level); }},
}};

using Memory = MemorySection;
void read_reserve(const Reading& r, Memory& m) {
    const auto share = r.number();
    if (share && *share > 0 && *share < 1) {
        m.reserve.share = *share;
        return;
    }
    std::uint64_t bytes = 0;
    r.bytes(bytes);
    m.reserve.bytes = bytes;
}
constexpr std::array<Key<Memory>, 1> kMemory{{
    {"reserve",
     "Memory that is never planned, for the system and everybody else: a share of each pool such "
     "as 0.06 (within 1 and 8 GiB), or an amount such as \"4 GiB\".",
     read_reserve,
     [](const Memory& m) {
         return m.reserve.bytes ? quoted(bytes_text(*m.reserve.bytes)) : number(m.reserve.share);
     }},
}};

using Catalog = CatalogSection;
constexpr std::array<Key<Catalog>, 3> kCatalog{{
    {"directories", "Folders with GGUF files, besides the standard ones.",
     [](const Reading& r, Catalog& c) { r.texts(c.directories); },
     [](const Catalog& c) { return list(c.directories); }},
    {"hub_endpoint", "Where `trilane pull` gets models; empty: HF_ENDPOINT, or Hugging Face.",
     [](const Reading& r, Catalog& c) { r.text(c.hub_endpoint); },
     [](const Catalog& c) { return quoted(c.hub_endpoint); }},
    {"watch", "Notice new and removed files while running.",
     [](const Reading& r, Catalog& c) { r.boolean(c.watch); },
     [](const Catalog& c) { return yes_no(c.watch); }},
}};

using Queue = QueueSection;
constexpr std::array<Key<Queue>, 4> kQueue{{
    {"length_max", "Answers that may wait per lane; more are refused with 429.",
     [](const Reading& r, Queue& q) { r.whole(q.length_max, 1, 65'536); },
     [](const Queue& q) { return number(q.length_max); }},
    {"per_client_max", "Of these, of one client that names itself (the request's `user`).",
     [](const Reading& r, Queue& q) { r.whole(q.per_client_max, 1, 65'536); },
     [](const Queue& q) { return number(q.per_client_max); }},
    {"wait_max", "How long one may wait, the load of its model included; then 503.",
     [](const Reading& r, Queue& q) { r.seconds(q.wait_s_max, kDaySeconds); },
     [](const Queue& q) { return quoted(seconds_text(q.wait_s_max)); }},
    {"batch_wait_ms_max",
     "How long one model's requests may keep another model out of its room, in milliseconds.",
     [](const Reading& r, Queue& q) { r.whole(q.batch_wait_ms_max, 0, 3'600'000); },
     [](const Queue& q) { return number(q.batch_wait_ms_max); }},
}};

using Usage = UsageSection;
constexpr std::array<Key<Usage>, 3> kUsage{{
    {"record", "Sum up who used which model how much, for `trilane usage`.",
     [](const Reading& r, Usage& u) { r.boolean(u.record); },
     [](const Usage& u) { return yes_no(u.record); }},
    {"file", "SQLite file of the sums; empty: usage.db in Trilane's state folder.",
     [](const Reading& r, Usage& u) { r.text(u.file); },
     [](const Usage& u) { return quoted(u.file); }},
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
     [](const Telemetry& t) { return quoted(t.otlp_url); }},
}};

using Lane = lane::Settings;
constexpr std::array<Key<Lane>, 20> kLane{{
    {"kind",
     "What runs it: native, llama-server, flm, whisper-server, sd-server, kokoro, espeak, remote.",
     [](const Reading& r, Lane& l) { r.text(l.kind); },
     [](const Lane& l) { return quoted(l.kind); }},
    {"device", "Whose memory it takes: \"cpu\", \"gpu0\" …, \"npu\"; empty: by kind.",
     [](const Reading& r, Lane& l) { r.text(l.device); },
     [](const Lane& l) { return quoted(l.device); }},
    {"program", "Path or name of the program; empty: the kind's, as found on PATH.",
     [](const Reading& r, Lane& l) { r.text(l.program); },
     [](const Lane& l) { return quoted(l.program); }},
    {"engine_device", "The device as the program names it: \"Vulkan0\", \"ROCm0\", \"none\".",
     [](const Reading& r, Lane& l) { r.text(l.engine_device); },
     [](const Lane& l) { return quoted(l.engine_device); }},
    {"args", "Further arguments for every start of the program.",
     [](const Reading& r, Lane& l) { r.texts(l.args); },
     [](const Lane& l) { return list(l.args); }},
    {"environment", "Further variables for it: { NAME = \"value\" }.",
     [](const Reading& r, Lane& l) { r.pairs(l.environment); },
     [](const Lane& l) {
         std::string out = "{";
         for (const auto& [name, value] : l.environment) {
             out +=
                 fmt::format("{} {} = {}", out.size() > 1 ? "," : "", quoted(name), quoted(value));
         }
         return out + (out.size() > 1 ? " }" : "}");
     }},
    {"residents_max", "Models that may be loaded on it at once; 0: the kind's default.",
     [](const Reading& r, Lane& l) { r.whole(l.residents_max, 0, 64); },
     [](const Lane& l) { return number(l.residents_max); }},
    {"requests_max", "Requests at once per model; 0: the kind's default.",
     [](const Reading& r, Lane& l) { r.whole(l.requests_max, 0, 256); },
     [](const Lane& l) { return number(l.requests_max); }},
    {"prompt_cache", "Memory for finished prompts (llama-server's --cache-ram).",
     [](const Reading& r, Lane& l) { r.bytes(l.prompt_cache_bytes); },
     [](const Lane& l) { return quoted(bytes_text(l.prompt_cache_bytes)); }},
    {"cgroup", "Control group that its children join; empty: the daemon's.",
     [](const Reading& r, Lane& l) { r.text(l.cgroup); },
     [](const Lane& l) { return quoted(l.cgroup); }},
    {"start_timeout", "How long a model may take from its start to its first sensible answer.",
     [](const Reading& r, Lane& l) { r.seconds(l.start_timeout_s, kDaySeconds); },
     [](const Lane& l) { return quoted(seconds_text(l.start_timeout_s)); }},
    {"hang_timeout", "Busy, without a token and without health for so long: started anew.",
     [](const Reading& r, Lane& l) { r.seconds(l.hang_timeout_s, kDaySeconds); },
     [](const Lane& l) { return quoted(seconds_text(l.hang_timeout_s)); }},
    {"url", "remote: where its API is, e.g. \"http://10.0.0.2:8000/v1\".",
     [](const Reading& r, Lane& l) { r.text(l.url); }, [](const Lane& l) { return quoted(l.url); }},
    {"api_key_file", "remote: file that holds its key.",
     [](const Reading& r, Lane& l) { r.text(l.api_key_file); },
     [](const Lane& l) { return quoted(l.api_key_file); }},
    {"models", "remote: models it serves; empty: it is asked.",
     [](const Reading& r, Lane& l) { r.texts(l.models); },
     [](const Lane& l) { return list(l.models); }},
    {"context", "remote and native: context of one request in tokens; 0: the model's.",
     [](const Reading& r, Lane& l) {
         r.whole(l.context_tokens, 0, kContextTokensMax);
         l.engine.context_tokens = l.context_tokens;
     },
     [](const Lane& l) { return number(l.context_tokens); }},
    {"threads", "native: threads of the engine; 0: the cores it may use.",
     [](const Reading& r, Lane& l) { r.whole(l.engine.threads, 0, 1024); },
     [](const Lane& l) { return number(l.engine.threads); }},
    {"slots", "native: requests that are answered at once.",
     [](const Reading& r, Lane& l) { r.whole(l.engine.slots, 1, 256); },
     [](const Lane& l) { return number(l.engine.slots); }},
    {"prefill_chunk", "native: prompt tokens read per step.",
     [](const Reading& r, Lane& l) { r.whole(l.engine.prefill_chunk_tokens, 1, 4096); },
     [](const Lane& l) { return number(l.engine.prefill_chunk_tokens); }},
    {"engine_queue_max", "native: requests that may wait inside the engine.",
     [](const Reading& r, Lane& l) { r.whole(l.engine.queue_max, 1, 65'536); },
     [](const Lane& l) { return number(l.engine.queue_max); }},
}};

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
     [](const Model& m) { return list(m.lanes); }},
    {"context", "Context of one request in tokens; 0: what the model was made for, or what fits.",
     [](const Reading& r, Model& m) { r.whole(m.wishes.context_tokens, 0, kContextTokensMax); },
     [](const Model& m) { return number(m.wishes.context_tokens); }},
    {"parallel", "Requests it answers at once; 0: the lane's default.",
     [](const Reading& r, Model& m) { r.whole(m.wishes.parallel, 0, 256); },
     [](const Model& m) { return number(m.wishes.parallel); }},
    {"kv", "Type of its KV cache: \"f16\", \"q8_0\" or \"q4_0\".", read_kv,
     [](const Model& m) { return kv_text(m.wishes.kv); }},
    {"args", "Further arguments of its program.",
     [](const Reading& r, Model& m) { r.texts(m.wishes.args); },
     [](const Model& m) { return list(m.wishes.args); }},
    {"pin", "Never evicted; loaded at the start, and again should it crash.",
     [](const Reading& r, Model& m) { r.boolean(m.pin); },
     [](const Model& m) { return yes_no(m.pin); }},
    {"preload", "Loaded at the start.", [](const Reading& r, Model& m) { r.boolean(m.preload); },
     [](const Model& m) { return yes_no(m.preload); }},
    {"keep_warm", "Idle for so long, it is unloaded; 0: kept until its room is needed.",
     [](const Reading& r, Model& m) { r.seconds(m.keep_warm_s, kYearSeconds); },
     [](const Model& m) { return quoted(seconds_text(m.keep_warm_s)); }},
    {"priority", "Larger stays longer when room is needed.",
     [](const Reading& r, Model& m) { r.signed_whole(m.priority, -1000, 1000); },
     [](const Model& m) { return number(m.priority); }},
    {"aliases", "Other names that clients may use for it.",
     [](const Reading& r, Model& m) { r.texts(m.aliases); },
     [](const Model& m) { return list(m.aliases); }},
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
std::span<const Key<lane::Settings>> lane_keys() {
    return kLane;
}
std::span<const Key<ModelSection>> model_keys() {
    return kModel;
}

}  // namespace trilane::config
