#include "lane/speech_server/speech_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/sanity.h"
#include "lane/options.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

constexpr std::uint32_t kSpeechResidentsMax = 1;
constexpr std::uint32_t kSpeechRequestsMax = 1;
/// Voices, the ONNX runtime and its buffers. An estimate.
constexpr std::uint64_t kSpeechBuffersBytes = std::uint64_t{700} << 20U;

/// `text` with every `name` replaced.
std::string replaced(std::string text, std::string_view name, std::string_view value) {
    for (std::size_t at = text.find(name); at != std::string::npos;
         at = text.find(name, at + value.size())) {
        text.replace(at, name.size(), value);
    }
    return text;
}

class SpeechServerLane final : public ChildLane {
public:
    using ChildLane::ChildLane;

    static Result<std::shared_ptr<Lane>> open(const Settings& settings, const Parts& parts) {
        TRILANE_TRY(OpenedLane opened,
                    open_shared(settings, parts, kSpeechServerDescriptor, "cpu", {}));
        return std::shared_ptr<Lane>(
            std::make_shared<SpeechServerLane>(std::move(opened), kSpeechServerDescriptor));
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& /*wishes*/) const override {
        return need_of_files(entry, kSpeechBuffersBytes);
    }

protected:
    Result<Launch> launch(const LoadRequest& request, std::uint16_t port) override {
        Launch launch;
        launch.arguments = speech_arguments(user_args(request.wishes), request.entry.path, port);
        launch.ready_targets = {"/health", "/v1/models", "/v1/audio/voices", "/"};
        launch.resident.card = card_of(request.entry);
        launch.resident.upstream_model = request.entry.id;
        launch.resident.slots = kSpeechRequestsMax;
        launch.takes_chat = false;
        launch.sounds.speaks_wav = true;  // the one format that all of these servers make
        return launch;
    }

    Status describe(net::Client& client, const LoadWatch& watch, Launch& launch) override {
        TRILANE_TRY(launch.resident.voices, listed_voices(client, watch));
        return {};
    }

    Status try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) override {
        return check_speech(client, watch, launch.resident.upstream_model, launch.resident.voices);
    }
};

constexpr std::array kSpeechPurposes{Purpose::speak};
constexpr std::array<std::string_view, 1> kSpeechPrograms{"koko"};
constexpr std::array kSpeechOptions{
    option::device("cpu"),
    option::program("koko on PATH"),
    option::args("Arguments before `openai`, such as --data with the file of voices; or, for "
                 "another server, its whole command line with {host}, {port} and {model} in it."),
    option::environment(),
    option::residents_max("1"),
    option::cgroup(),
    option::start_timeout(),
};

}  // namespace

const Descriptor kSpeechServerDescriptor{
    .kind = "kokoro",
    .summary = "Kokoros, or another server of OpenAI's speech API, as a child: text to speech",
    .silicon = Silicon::cpu,
    .store = catalog::Store::gguf,
    .purposes = kSpeechPurposes,
    .programs = kSpeechPrograms,
    .options = kSpeechOptions,
    .residents_max = kSpeechResidentsMax,
    .requests_max = kSpeechRequestsMax,
    .takes_args = true,
    .open = open_speech_server_lane,
};

std::vector<std::string> speech_arguments(std::span<const std::string> args,
                                          const std::string& model_path, std::uint16_t port) {
    const std::string number = std::to_string(port);
    const bool is_template = std::any_of(args.begin(), args.end(), [](const std::string& each) {
        return each.find("{port}") != std::string::npos;
    });
    std::vector<std::string> line;
    for (const std::string& each : args) {
        line.push_back(replaced(replaced(replaced(each, "{host}", kChildHost), "{port}", number),
                                "{model}", model_path));
    }
    if (!is_template) {
        if (!model_path.empty()) {
            line.insert(line.end(), {"--model", model_path});
        }
        line.insert(line.end(), {"openai", "--ip", std::string(kChildHost), "--port", number});
    }
    return line;
}

Result<std::shared_ptr<Lane>> open_speech_server_lane(const Settings& settings,
                                                      const Parts& parts) {
    return SpeechServerLane::open(settings, parts);
}

}  // namespace trilane::lane
