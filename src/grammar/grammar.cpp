#include "grammar/grammar.h"

#include "base/utf8.h"

namespace trilane::grammar {
namespace {

Result<Compiled> built(const Builder& builder, Result<Part> root) {
    if (!root) {
        return tl::unexpected(std::move(root).error());
    }
    return builder.build(*root);
}

}  // namespace

Result<Compiled> compile(const job::Format& format) {
    switch (format.kind) {
        case job::Format::Kind::text:
            return Compiled();
        case job::Format::Kind::json_object:
            return json_object();
        case job::Format::Kind::json_schema:
            return from_json_schema(format.source);
        case job::Format::Kind::gbnf:
            return from_gbnf(format.source);
        case job::Format::Kind::regex:
            return from_regex(format.source);
        case job::Format::Kind::choice:
            return from_choices(format.choices);
    }
    return fail(Fault::internal, "a format of no known kind");
}

Result<Compiled> json_object() {
    Builder builder;
    const Part root = add_json_object(builder);
    return builder.build(root);
}

Result<Compiled> from_json_schema(std::string_view schema) {
    Builder builder;
    auto root = add_json_schema(builder, schema);
    return built(builder, std::move(root));
}

Result<Compiled> from_gbnf(std::string_view source) {
    Builder builder;
    auto root = add_gbnf(builder, source);
    return built(builder, std::move(root));
}

Result<Compiled> from_regex(std::string_view source) {
    Builder builder;
    auto root = add_regex(builder, source);
    return built(builder, std::move(root));
}

Result<Compiled> from_choices(std::span<const std::string> choices) {
    Builder builder;
    auto root = add_choices(builder, choices);
    return built(builder, std::move(root));
}

Result<Part> add_choices(Builder& builder, std::span<const std::string> choices) {
    if (choices.empty()) {
        return fail(Fault::invalid, "the list of choices is empty; give at least one");
    }
    if (choices.size() > kChoicesMax) {
        return fail(Fault::invalid, "there are {} choices; at most {} are taken", choices.size(),
                    kChoicesMax);
    }
    std::size_t bytes = 0;
    std::vector<Part> ways;
    for (const std::string& choice : choices) {
        bytes += choice.size();
        if (choice.empty() || !is_valid_utf8(choice)) {
            return fail(Fault::invalid, "choice {} is {}; give a text", ways.size(),
                        choice.empty() ? "empty" : "not valid UTF-8");
        }
        ways.push_back(builder.literal(choice));
    }
    if (bytes > kChoiceBytesMax) {
        return fail(Fault::invalid, "the choices have {} bytes; at most {} are taken", bytes,
                    kChoiceBytesMax);
    }
    return builder.either(std::move(ways));
}

}  // namespace trilane::grammar
