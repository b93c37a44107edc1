#include "config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/near_name.h"
#include "config/reading.h"
#include "config/schema.h"
#include "config/toml.h"

namespace trilane::config {
namespace {

/// Of one line: a key of so many parts becomes as many tables in each other, and the library goes
/// through them by recursion.
constexpr std::size_t kDotsPerLineMax = 1000;

std::string meant(std::string_view name, const std::vector<std::string_view>& known) {
    const std::string_view near = near_name(name, known);
    return near.empty() ? "; `trilane config default` lists what there is"
                        : fmt::format("; did you mean {}?", near);
}

template <class Keys>
std::vector<std::string_view> names_of(const Keys& keys) {
    std::vector<std::string_view> names;
    for (const auto& key : keys) {
        names.push_back(key.name);
    }
    return names;
}

class Reader {
public:
    explicit Reader(std::vector<Remark>& remarks) : remarks_(remarks) {}

    /// `unknown` says what to tell of a key that is none of `keys`.
    template <class Keys, class Section, class Unknown>
    void section(const toml::node& node, const std::string& path, const Keys& keys, Section& into,
                 const Unknown& unknown) {
        const toml::table* table = node.as_table();
        if (table == nullptr) {
            remark(node, true, fmt::format("{} must be a table: [{}]", path, path));
            return;
        }
        for (const auto& [name, value] : *table) {
            const auto key = std::ranges::find_if(
                keys, [wanted = name.str()](const auto& one) { return one.name == wanted; });
            const std::string full = fmt::format("{}.{}", path, name.str());
            if (key == keys.end()) {
                remark(value, true, unknown(full, name.str()));
                continue;
            }
            key->read(Reading(value, full, remarks_), into);
        }
    }
    template <class Section>
    void section(const toml::node& node, const std::string& path,
                 std::span<const Key<Section>> keys, Section& into) {
        section(node, path, keys, into, [&](const std::string& full, std::string_view name) {
            return fmt::format("{} is not known{}", full, meant(name, names_of(keys)));
        });
    }

    void remark(const toml::node& node, bool error, std::string text) {
        const toml::source_position place = node.source().begin;
        remarks_.push_back({place.line, place.column, error, std::move(text)});
    }

    void lane(const toml::node& node, const std::string& path, lane::Settings& settings);
    void lanes(const toml::node& node, Config& config);
    void models(const toml::node& node, Config& config);
    void kv_type(const toml::node& node, const std::string& path, const ModelSection& model,
                 const Config& config);
    void arguments(const toml::node& node, const std::string& path, const ModelSection& model,
                   const Config& config);
    /// What is remarked from now on is about that section.
    void enter(std::string_view section) {
        leave();
        section_ = section;
    }
    void leave() {
        for (; named_ < remarks_.size(); ++named_) {
            remarks_[named_].section = section_;
        }
    }

private:
    std::vector<Remark>& remarks_;
    std::string section_;
    std::size_t named_ = 0;  // remarks whose section is known
};

bool is_lane_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

/// Which keys there are depends on the kind: without one, nothing else can be read.
void Reader::lane(const toml::node& node, const std::string& path, lane::Settings& settings) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        remark(node, true, fmt::format("{} must be a table: [{}]", path, path));
        return;
    }
    const toml::node* named = table->get("kind");
    if (named == nullptr) {
        remark(node, true,
               fmt::format("{} has no kind; use one of {}", path, fmt::join(lane::kinds(), ", ")));
        return;
    }
    const auto kind = lane::descriptor_of(named->value_exact<std::string>().value_or(""));
    if (!kind) {
        remark(*named, true, fmt::format("{}.kind: {}", path, kind.error().message));
        return;
    }
    const std::vector<LaneKey> keys = lane_keys(**kind);
    section(node, path, keys, settings, [&](const std::string& full, std::string_view name) {
        const std::vector<std::string_view> names = names_of(keys);
        const std::string_view near = near_name(name, names);
        return fmt::format("{}: lanes of kind {} have no {}{}; they have {}", full, (*kind)->kind,
                           name, near.empty() ? "" : fmt::format("; did you mean {}?", near),
                           fmt::join(names, ", "));
    });
    if (settings.kind == "remote" && settings.url.empty()) {
        remark(node, true, fmt::format("{} is remote and has no url", path));
    }
}

void Reader::lanes(const toml::node& node, Config& config) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        remark(node, true, "lane must hold tables: [lane.NAME]");
        return;
    }
    for (const auto& [name, value] : *table) {
        lane::Settings settings;
        settings.name = name.str();
        const std::string path = fmt::format("lane.{}", name.str());
        if (!is_lane_name(settings.name)) {
            remark(value, true,
                   fmt::format("{}: names of lanes are small letters, digits, - and _", path));
        }
        lane(value, path, settings);
        config.lanes.push_back(std::move(settings));
    }
    // The order of the file is the order of preference; the library sorts by name.
    std::ranges::sort(config.lanes, {}, [&](const lane::Settings& lane) {
        return (*table)[lane.name].node()->source().begin.line;
    });
}

/// Which of the lanes that may load the model do not know a wish, and whether another one does.
struct Deaf {
    std::string lanes;
    bool heard = false;
};

/// `may_load` is asked of the lanes of a model that names none.
Deaf deaf_to(bool lane::Descriptor::*wish, const ModelSection& model, const Config& config,
             bool (*may_load)(const lane::Descriptor& kind)) {
    Deaf out;
    for (const lane::Settings& lane : config.lanes) {
        const auto kind = lane::descriptor_of(lane.kind);
        const bool named = std::ranges::find(model.lanes, lane.name) != model.lanes.end();
        if (!kind || !(model.lanes.empty() ? may_load(**kind) : named)) {
            continue;
        }
        if ((*kind)->*wish) {
            out.heard = true;
        } else {
            out.lanes +=
                fmt::format("{}{} ({})", out.lanes.empty() ? "" : ", ", lane.name, lane.kind);
        }
    }
    return out;
}

const toml::node* key_of(const toml::node& node, std::string_view key) {
    const toml::table* table = node.as_table();
    return table == nullptr ? nullptr : table->get(key);
}

/// A KV type counts only where the engine can choose it.
void Reader::kv_type(const toml::node& node, const std::string& path, const ModelSection& model,
                     const Config& config) {
    const toml::node* kv = key_of(node, "kv");
    if (kv == nullptr || model.wishes.kv == plan::KvType::f16) {
        return;
    }
    const Deaf deaf =
        deaf_to(&lane::Descriptor::takes_kv, model, config, [](const lane::Descriptor& kind) {
            return std::ranges::find(kind.purposes, catalog::Purpose::chat) != kind.purposes.end();
        });
    if (!deaf.lanes.empty()) {
        remark(*kv, !deaf.heard,
               fmt::format(
                   "{}.kv: \"{}\" has no effect on {}; {}", path,
                   plan::kv_type_name(model.wishes.kv), deaf.lanes,
                   deaf.heard ? "the others take it" : "leave it out, or add a llama-server lane"));
    }
}

/// Arguments are for programs.
void Reader::arguments(const toml::node& node, const std::string& path, const ModelSection& model,
                       const Config& config) {
    const toml::node* args = key_of(node, "args");
    if (args == nullptr || model.wishes.args.empty()) {
        return;
    }
    const Deaf deaf =
        deaf_to(&lane::Descriptor::takes_args, model, config, [](const lane::Descriptor& kind) {
            return kind.store == catalog::Store::gguf;  // of which lanes that load files share
        });
    if (!deaf.lanes.empty()) {
        remark(*args, false,
               fmt::format("{}.args have no effect on {}; {}", path, deaf.lanes,
                           deaf.heard ? "the others take them"
                                      : "leave them out, or add a llama-server lane"));
    }
}

void Reader::models(const toml::node& node, Config& config) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        remark(node, true, "model must hold tables: [model.\"ID\"]");
        return;
    }
    for (const auto& [name, value] : *table) {
        ModelSection& model = config.models.emplace_back();
        model.id = name.str();
        const std::string path = fmt::format("model.\"{}\"", name.str());
        section(value, path, model_keys(), model);
        for (const std::string& lane : model.lanes) {
            if (!config.lanes.empty() &&
                std::ranges::find(config.lanes, lane, &lane::Settings::name) ==
                    config.lanes.end()) {
                remark(value, true, fmt::format("{}.lanes: there is no [lane.{}]", path, lane));
            }
        }
        kv_type(value, path, model, config);
        arguments(value, path, model, config);
    }
}

/// An alias that two models have, or that is another model's id, would hide one of them. A '*'
/// stands for any end of a name, nothing else.
void check_aliases(const toml::node& node, const Config& config, Reader& reader) {
    std::set<std::string_view> names;
    for (const ModelSection& model : config.models) {
        names.insert(model.id);
    }
    for (const ModelSection& model : config.models) {
        for (const std::string& alias : model.aliases) {
            if (alias.find('*') < alias.size() - 1) {
                reader.remark(node, true,
                              fmt::format("model.\"{}\".aliases: \"{}\": a * may only be at the "
                                          "end, as in \"{}*\"",
                                          model.id, alias, alias.substr(0, alias.find('*'))));
            }
            if (!names.insert(alias).second) {
                reader.remark(node, true,
                              fmt::format("model.\"{}\".aliases: \"{}\" is another model's name",
                                          model.id, alias));
            }
        }
    }
}

void read_root(const toml::table& root, Reader& reader, Config& config) {
    // Models refer to lanes, so lanes come first.
    if (const toml::node* lanes = root.get("lane")) {
        reader.enter("lane");
        reader.lanes(*lanes, config);
    }
    for (const auto& [name, value] : root) {
        const std::string_view key = name.str();
        reader.enter(key);
        if (key == "server") {
            reader.section(value, "server", server_keys(), config.server);
        } else if (key == "memory") {
            reader.section(value, "memory", memory_keys(), config.memory);
        } else if (key == "catalog") {
            reader.section(value, "catalog", catalog_keys(), config.catalog);
        } else if (key == "queue") {
            reader.section(value, "queue", queue_keys(), config.queue);
        } else if (key == "usage") {
            reader.section(value, "usage", usage_keys(), config.usage);
        } else if (key == "telemetry") {
            reader.section(value, "telemetry", telemetry_keys(), config.telemetry);
        } else if (key == "model") {
            reader.models(value, config);
            check_aliases(value, config, reader);
        } else if (key != "lane") {
            reader.enter("");  // it may have been meant for any
            reader.remark(value, true,
                          fmt::format("{} is not known{}", key,
                                      meant(key, {"server", "memory", "catalog", "queue", "usage",
                                                  "telemetry", "lane", "model"})));
        }
    }
    reader.leave();
}

/// One section as TOML lines, with `comments` each under its explanation.
template <class Keys, class Section>
void write_section(std::string& out, std::string_view heading, const Keys& keys,
                   const Section& section, bool comments) {
    out += fmt::format("[{}]\n", heading);
    for (const auto& key : keys) {
        if (comments) {
            out += fmt::format("# {}\n", key.text);
        }
        out += fmt::format("{} = {}\n", key.name, key.show(section));
    }
    out += '\n';
}

std::string as_comment(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        out += line.empty() ? "\n" : fmt::format("{}{}\n", line.starts_with('#') ? "" : "# ", line);
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return out;
}

template <class Keys, class Section>
void compare_section(const std::string& heading, const Keys& keys, const Section& before,
                     const Section& after, Difference& differences) {
    for (const auto& key : keys) {
        if (key.show(before) != key.show(after)) {
            (key.hot ? differences.hot : differences.restart)
                .push_back(fmt::format("{}.{}", heading, key.name));
        }
    }
}

/// The keys of a lane as it is set; of no kind, none.
std::vector<LaneKey> keys_of(const lane::Settings& settings) {
    const auto kind = lane::descriptor_of(settings.kind);
    return kind ? lane_keys(**kind) : std::vector<LaneKey>();
}
std::span<const Key<ModelSection>> keys_of(const ModelSection& /*model*/) {
    return model_keys();
}

/// Named sections: those that came, went or changed; the first two go to `sections`.
template <class Section, class Name>
void compare_named(const std::string& kind, const std::vector<Section>& before,
                   const std::vector<Section>& after, Name name, std::vector<std::string>& sections,
                   Difference& differences) {
    for (const Section& one : after) {
        const auto old = std::ranges::find(before, one.*name, name);
        const std::string heading = fmt::format("{}.{}", kind, one.*name);
        if (old == before.end()) {
            sections.push_back(heading);
        } else {
            compare_section(heading, keys_of(one), *old, one, differences);
        }
    }
    for (const Section& one : before) {
        if (std::ranges::find(after, one.*name, name) == after.end()) {
            sections.push_back(fmt::format("{}.{}", kind, one.*name));
        }
    }
}

}  // namespace

std::string remark_text(std::string_view source, const Remark& remark) {
    return fmt::format("{}:{}:{}: {}: {}", source, remark.line, remark.column,
                       remark.error ? "error" : "warning", remark.text);
}

bool Checked::good() const {
    return std::ranges::none_of(remarks, &Remark::error);
}

bool Checked::understood(std::string_view section) const {
    return std::ranges::none_of(remarks, [&](const Remark& remark) {
        return remark.error && (remark.section.empty() || remark.section == section);
    });
}

namespace {

/// The number of the first line with too many dots; 0 = there is none.
std::uint32_t line_of_dots(std::string_view text) {
    std::uint32_t line = 1;
    std::size_t dots = 0;
    for (const char c : text) {
        if (c == '\n') {
            line += 1;
            dots = 0;
        } else if (c == '.' && ++dots > kDotsPerLineMax) {
            return line;
        }
    }
    return 0;
}

}  // namespace

Checked read_config(std::string_view text, std::string_view source) {
    Checked out;
    out.config.source = source;
    if (const std::uint32_t line = line_of_dots(text); line != 0) {
        out.remarks.push_back({line, 1, true,
                               fmt::format("the line has more than {} dots; break it into several",
                                           kDotsPerLineMax)});
        return out;
    }
    const toml::parse_result parsed = toml::parse(text, source);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        out.remarks.push_back({error.source().begin.line, error.source().begin.column, true,
                               std::string(error.description())});
        return out;
    }
    Reader reader(out.remarks);
    read_root(parsed.table(), reader, out.config);
    std::ranges::stable_sort(out.remarks, {},
                             [](const Remark& r) { return std::pair(r.line, r.column); });
    for (const Remark& remark : out.remarks) {
        if (!remark.error) {
            out.config.warnings.push_back(
                fmt::format("{}:{}:{}: {}", source, remark.line, remark.column, remark.text));
        }
    }
    return out;
}

Remark remark_at(std::string_view text, std::span<const std::string> names, bool error,
                 std::string what) {
    Remark out{1, 1, error, std::move(what), names.empty() ? "" : names.front()};
    if (line_of_dots(text) != 0) {
        return out;  // that is no text for the library
    }
    const toml::parse_result parsed = toml::parse(text);
    const toml::node* at = parsed ? &parsed.table() : nullptr;
    for (const std::string& name : names) {
        at = at == nullptr ? nullptr : key_of(*at, name);
        if (at != nullptr && at->source().begin) {
            out.line = at->source().begin.line;
            out.column = at->source().begin.column;
        }
    }
    return out;
}

std::string default_text() {
    std::string out =
        "# Trilane's configuration. Everything may be left out; what stands here are the "
        "defaults.\n\n";
    write_section(out, "server", server_keys(), ServerSection(), true);
    write_section(out, "memory", memory_keys(), MemorySection(), true);
    write_section(out, "catalog", catalog_keys(), CatalogSection(), true);
    write_section(out, "queue", queue_keys(), QueueSection(), true);
    write_section(out, "usage", usage_keys(), UsageSection(), true);
    write_section(out, "telemetry", telemetry_keys(), TelemetrySection(), true);
    out +=
        "# Lanes, one table each, best first, under names of your choice. Without any, Trilane "
        "takes\n"
        "# what it finds on the machine: the CPU always, and llama-server, FastFlowLM and others "
        "that\n"
        "# are installed. Each kind has its own keys.\n";
    std::string section;
    for (const lane::Descriptor& kind : lane::descriptors()) {
        lane::Settings lane;
        lane.kind = kind.kind;
        section.clear();
        write_section(section, fmt::format("lane.{}", kind.kind), lane_keys(kind), lane, true);
        out += as_comment(section);
    }
    out += "# Models, one table each; \"*\" is for all that have none.\n";
    section.clear();
    write_section(section, "model.\"*\"", model_keys(), ModelSection(), true);
    out += as_comment(section);
    return out;
}

std::string effective_text(const Config& config) {
    std::string out;
    write_section(out, "server", server_keys(), config.server, false);
    write_section(out, "memory", memory_keys(), config.memory, false);
    write_section(out, "catalog", catalog_keys(), config.catalog, false);
    write_section(out, "queue", queue_keys(), config.queue, false);
    write_section(out, "usage", usage_keys(), config.usage, false);
    write_section(out, "telemetry", telemetry_keys(), config.telemetry, false);
    for (const lane::Settings& lane : config.lanes) {
        write_section(out, "lane." + lane.name, keys_of(lane), lane, false);
    }
    for (const ModelSection& model : config.models) {
        write_section(out, "model." + toml_text(model.id), model_keys(), model, false);
    }
    return out;
}

Difference compare(const Config& before, const Config& after) {
    Difference out;
    compare_section("server", server_keys(), before.server, after.server, out);
    compare_section("memory", memory_keys(), before.memory, after.memory, out);
    compare_section("catalog", catalog_keys(), before.catalog, after.catalog, out);
    compare_named("lane", before.lanes, after.lanes, &lane::Settings::name, out.restart, out);
    compare_section("usage", usage_keys(), before.usage, after.usage, out);
    compare_section("telemetry", telemetry_keys(), before.telemetry, after.telemetry, out);
    compare_section("queue", queue_keys(), before.queue, after.queue, out);
    compare_named("model", before.models, after.models, &ModelSection::id, out.hot, out);
    return out;
}

}  // namespace trilane::config
