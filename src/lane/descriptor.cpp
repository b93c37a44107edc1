#include "lane/descriptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "lane/child/program.h"
#include "lane/espeak/espeak.h"
#include "lane/flm/flm.h"
#include "lane/llama_server/llama_server.h"
#include "lane/native/native.h"
#include "lane/remote/remote.h"
#include "lane/sd_server/sd_server.h"
#include "lane/speech_server/speech_server.h"
#include "lane/whisper_server/whisper_server.h"

namespace trilane::lane {
namespace {

constexpr std::size_t kNameBytesMax = 64;

/// Names stand before a '/' in names of models and in commands.
bool is_lane_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax &&
           std::all_of(name.begin(), name.end(), [](unsigned char letter) {
               return std::isalnum(letter) != 0 || letter == '-' || letter == '_' || letter == '.';
           });
}

}  // namespace

std::string_view silicon_name(Silicon silicon) {
    switch (silicon) {
        case Silicon::cpu:
            return "cpu";
        case Silicon::gpu:
            return "gpu";
        case Silicon::npu:
            return "npu";
        case Silicon::remote:
            break;
    }
    return "remote";
}

std::span<const Descriptor> descriptors() {
    // Copied when first asked for: each kind's row lies in a source of its own.
    static const std::array table{
        kNativeDescriptor,   kLlamaServerDescriptor,  kFlmDescriptor,    kWhisperServerDescriptor,
        kSdServerDescriptor, kSpeechServerDescriptor, kEspeakDescriptor, kRemoteDescriptor,
    };
    return table;
}

std::vector<std::string_view> kinds() {
    std::vector<std::string_view> names;
    for (const Descriptor& each : descriptors()) {
        names.push_back(each.kind);
    }
    return names;
}

Result<const Descriptor*> descriptor_of(std::string_view kind) {
    for (const Descriptor& each : descriptors()) {
        if (each.kind == kind) {
            return &each;
        }
    }
    return fail(Fault::invalid, "there is no kind of lane '{}'; use one of {}", kind,
                fmt::join(kinds(), ", "));
}

Silicon silicon_of(const Descriptor& kind, const Settings& settings) {
    if (kind.silicon != Silicon::cpu && kind.silicon != Silicon::gpu) {
        return kind.silicon;
    }
    if (settings.device == "cpu" || settings.engine_device == "none") {
        return Silicon::cpu;
    }
    return settings.device.starts_with("gpu") ? Silicon::gpu : kind.silicon;
}

std::string installed_program(const Descriptor& kind, std::span<const std::string> directories) {
    const std::vector<std::string> names(kind.programs.begin(), kind.programs.end());
    return find_program(names, directories, kind.kind).value_or("");
}

Result<std::shared_ptr<Lane>> open_lane(const Settings& settings, const Parts& parts) {
    if (!is_lane_name(settings.name)) {
        return fail(Fault::invalid,
                    "'{}' cannot be the name of a lane; use up to {} letters, digits, '-', '_' and "
                    "'.'",
                    settings.name, kNameBytesMax);
    }
    TRILANE_TRY(const Descriptor* descriptor, descriptor_of(settings.kind));
    return descriptor->open(settings, parts);
}

}  // namespace trilane::lane
