#include "app/version.h"

#include <fmt/core.h>

#include <array>

#include "app/output.h"
#include "app/verbs.h"
#include "git_revision.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::array kTables{kernels::Isa::generic, kernels::Isa::avx2, kernels::Isa::avxvnni,
                             kernels::Isa::avx512};

#if defined(__clang__)
constexpr std::string_view kCompiler = "clang " __clang_version__;
#else
constexpr std::string_view kCompiler = "g++ " __VERSION__;
#endif

kernels::Isa chosen(std::optional<kernels::Isa> forced) {
    return forced ? *forced : kernels::best_table().isa;
}

}  // namespace

std::string version_number() {
    return TRILANE_VERSION;
}

std::string source_revision() {
    return kGitRevision;
}

std::string version_text(std::optional<kernels::Isa> forced) {
    std::string tables;
    for (const kernels::Isa isa : kTables) {
        tables += fmt::format("{}{}{}", tables.empty() ? "" : ", ", kernels::isa_name(isa),
                              kernels::isa_available(isa) ? "" : " (not on this CPU)");
    }
    return fmt::format("trilane {} ({})\ncompiler  {}\nkernels   {}\nin use    {}{}\n",
                       version_number(), source_revision(), kCompiler, tables,
                       kernels::isa_name(chosen(forced)), forced ? " (TRILANE_ISA)" : "");
}

json::Value version_json(std::optional<kernels::Isa> forced) {
    json::Value tables = json::Value::array();
    for (const kernels::Isa isa : kTables) {
        tables.push_back({{"name", std::string(kernels::isa_name(isa))},
                          {"available", kernels::isa_available(isa)}});
    }
    return {{"version", version_number()},
            {"revision", source_revision()},
            {"compiler", std::string(kCompiler)},
            {"kernels", std::move(tables)},
            {"kernels_in_use", std::string(kernels::isa_name(chosen(forced)))},
            {"kernels_forced", forced.has_value()}};
}

Result<int> perform(const VersionOptions& options) {
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(version_json(options.isa)) + '\n'
                                          : version_text(options.isa)));
    return 0;
}

}  // namespace trilane::app
