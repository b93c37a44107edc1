#include "app/pull_listing.h"

#include <fmt/core.h>

#include <algorithm>

#include "app/output.h"
#include "catalog/file_names.h"
#include "json/json.h"

namespace trilane::app {
namespace {

double bits_of(const catalog::Variant& variant) {
    return catalog::bits_of(catalog::quantization_of(variant.name + ".gguf"));
}

/// Whether it is left out as long as nobody names it.
bool too_wide(const catalog::Variant& variant) {
    return bits_of(variant) >= 16 && variant.bytes() > kWideBytesMax;
}

/// The machine as if nobody else held memory: what is pulled stays longer than what runs now.
plan::Memory emptied(plan::Memory memory) {
    for (plan::Pool& pool : memory.pools) {
        pool.foreign_bytes = 0;
    }
    return memory;
}

JudgedVariant judge(const catalog::Variant& variant, const plan::Memory& memory) {
    JudgedVariant judged;
    judged.variant = variant;
    judged.need_bytes =
        static_cast<std::uint64_t>(static_cast<double>(variant.bytes()) * kRoomPerByte);
    plan::Need need;
    need.parts = {{"weights", judged.need_bytes}};
    const auto try_on = [&](const std::string& device) {
        const plan::Verdict verdict = plan::judge(memory, {}, device, need);
        const bool better = static_cast<int>(verdict.fit) < static_cast<int>(judged.fit) ||
                            (verdict.fit == judged.fit && verdict.room_bytes > judged.room_bytes);
        if (judged.device.empty() || better) {
            judged.device = device;
            judged.fit = verdict.fit;
            judged.room_bytes = verdict.room_bytes;
        }
    };
    for (const plan::Device& device : memory.devices) {
        if (device.name != "npu" && device.name != "cpu" && !device.shares.empty()) {
            try_on(device.name);
        }
    }
    if (memory.device("cpu") != nullptr) {
        try_on("cpu");
    }
    return judged;
}

std::string why_chosen(const VariantChoice& choice, const catalog::Reference& reference) {
    const JudgedVariant& chosen = choice.variants[choice.chosen];
    if (!reference.variant.empty()) {
        return chosen.fit == plan::Fit::does_not_fit ? "it was asked for, though it does not fit"
                                                     : "it was asked for";
    }
    if (choice.variants.size() == 1) {
        return "there is no other";
    }
    if (chosen.fit != plan::Fit::fits || too_wide(chosen.variant)) {
        return "none fits well; it is the smallest";
    }
    const bool passed_over = std::any_of(
        choice.variants.begin(), choice.variants.end(),
        [](const JudgedVariant& v) { return v.fit == plan::Fit::fits && too_wide(v.variant); });
    return fmt::format(
        "the best that fits{}",
        passed_over ? ", 16-bit ones aside: those are taken only when they are named" : "");
}

}  // namespace

catalog::Hub hub_of(const std::string& endpoint, const std::string& token) {
    catalog::Hub hub;
    hub.endpoint = endpoint.empty() ? hub.endpoint : endpoint;
    hub.token = token;
    return hub;
}

Result<VariantChoice> choose(std::vector<catalog::Variant> variants,
                             const catalog::Reference& reference, const plan::Memory& memory) {
    const plan::Memory machine = emptied(memory);
    VariantChoice choice;
    for (const catalog::Variant& variant : variants) {
        choice.variants.push_back(judge(variant, machine));
    }
    const auto fits = [&](const catalog::Variant& variant) {
        return judge(variant, machine).fit == plan::Fit::fits && !too_wide(variant);
    };
    TRILANE_TRY(const catalog::Variant chosen, catalog::choose_variant(variants, reference, fits));
    const auto found = std::find_if(
        choice.variants.begin(), choice.variants.end(), [&](const JudgedVariant& judged) {
            return judged.variant.files.front().path == chosen.files.front().path;
        });
    choice.chosen = static_cast<std::size_t>(found - choice.variants.begin());
    choice.why = why_chosen(choice, reference);
    return choice;
}

std::string choice_text(const catalog::Reference& reference, const VariantChoice& choice) {
    std::vector<std::vector<std::string>> rows{{"", "VARIANT", ">SIZE", ">FILES", "FIT", "NOTE"}};
    for (std::size_t i = 0; i < choice.variants.size(); ++i) {
        const JudgedVariant& judged = choice.variants[i];
        const std::string fit(plan::fit_name(judged.fit));
        rows.push_back(
            {i == choice.chosen ? "*" : "", printable(judged.variant.name, 48),
             human_bytes(judged.variant.bytes()),
             fmt::format("{}", judged.variant.files.size() + judged.variant.companions.size()),
             judged.fit == plan::Fit::does_not_fit ? fit
                                                   : fmt::format("{} on {}", fit, judged.device),
             judged.variant.companions.empty() ? "" : "with projector"});
    }
    const JudgedVariant& chosen = choice.variants[choice.chosen];
    return fmt::format("{}@{}\n\n{}\n{} ({}): {}; it takes about {} of the {} that {} has.\n",
                       printable(reference.repository), printable(reference.revision), table(rows),
                       printable(chosen.variant.name, 48), human_bytes(chosen.variant.bytes()),
                       choice.why, human_bytes(chosen.need_bytes), human_bytes(chosen.room_bytes),
                       chosen.device.empty() ? "this machine" : chosen.device);
}

json::Value choice_json(const catalog::Reference& reference, const VariantChoice& choice) {
    json::Value variants = json::Value::array();
    for (const JudgedVariant& judged : choice.variants) {
        json::Value files = json::Value::array();
        for (const auto* list : {&judged.variant.files, &judged.variant.companions}) {
            for (const catalog::RemoteFile& file : *list) {
                files.push_back(
                    {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
            }
        }
        variants.push_back({{"name", judged.variant.name},
                            {"bytes", judged.variant.bytes()},
                            {"fit", plan::fit_name(judged.fit)},
                            {"device", judged.device},
                            {"need_bytes", judged.need_bytes},
                            {"room_bytes", judged.room_bytes},
                            {"files", std::move(files)}});
    }
    return {{"event", "variants"},
            {"repository", reference.repository},
            {"revision", reference.revision},
            {"variants", std::move(variants)},
            {"chosen", choice.variants[choice.chosen].variant.name},
            {"why", choice.why}};
}

}  // namespace trilane::app
