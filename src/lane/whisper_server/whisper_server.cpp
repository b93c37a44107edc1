#include "lane/whisper_server/whisper_server.h"

#include <array>
#include <utility>

#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/sanity.h"
#include "lane/options.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

constexpr std::uint32_t kWhisperResidentsMax = 2;
/// It works on one recording at a time; further ones wait inside it.
constexpr std::uint32_t kWhisperRequestsMax = 1;
/// Encoder and decoder buffers and the process. An estimate for the largest model.
constexpr std::uint64_t kWhisperBuffersBytes = std::uint64_t{600} << 20U;

/// Of one recording: the longest that is read, at a tenth of its own speed, would take more; a
/// server that still answers health is given this long.
constexpr std::chrono::minutes kWhisperAnswerMax{60};

constexpr std::array<Reserved, 8> kWhisperReserved{{
    {"--host", kRemove},
    {"--port", kRemove},
    {"--public", kRemove},
    {"--request-path", kRemove},
    {"--inference-path", kRemove},
    {"-m", "name the model in the request or the catalogue"},
    {"--model", "name the model in the request or the catalogue"},
    {"--help", kRemove},
}};

class WhisperServerLane final : public ChildLane {
public:
    using ChildLane::ChildLane;

    static Result<std::shared_ptr<Lane>> open(const Settings& settings, const Parts& parts) {
        TRILANE_TRY(OpenedLane opened, open_shared(settings, parts, kWhisperServerDescriptor, "cpu",
                                                   kWhisperReserved));
        return std::shared_ptr<Lane>(
            std::make_shared<WhisperServerLane>(std::move(opened), kWhisperServerDescriptor));
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& /*wishes*/) const override {
        return need_of_files(entry, kWhisperBuffersBytes);
    }

protected:
    Result<Launch> launch(const LoadRequest& request, std::uint16_t port) override {
        TRILANE_TRY_STATUS(refuse_reserved(request.wishes.args, kWhisperReserved, name()));
        TRILANE_TRY(const auto options, help({}, request.cancel));
        Arguments line(*options, user_args(request.wishes));
        line.add("--host").add(std::string(kChildHost));
        line.add("--port").add(std::to_string(port));
        line.add("--model").add(request.entry.path);
        if (device() == "cpu") {
            line.set({"--no-gpu", "-ng"});
        }
        Launch launch;
        launch.arguments = std::move(line).finish();
        launch.ready_targets = {"/health", "/"};  // older versions have only their page
        launch.resident.card = card_of(request.entry);
        launch.resident.upstream_model = request.entry.id;
        launch.resident.slots = kWhisperRequestsMax;
        launch.takes_chat = false;
        launch.resident.rules.own_inference_page = true;
        launch.sounds.hears_wav = true;
        launch.resident.silence_timeout = kWhisperAnswerMax;
        return launch;
    }

    Status try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) override {
        return check_transcription(client, watch, "/inference", launch.resident.upstream_model);
    }
};

constexpr std::array kWhisperPurposes{Purpose::transcribe};
constexpr std::array<std::string_view, 1> kWhisperPrograms{"whisper-server"};
constexpr std::array kWhisperOptions{
    option::device("cpu, which also keeps it off the GPU"),
    option::program("whisper-server on PATH"),
    option::args(),
    option::environment(),
    option::residents_max("2"),
    option::cgroup(),
    option::start_timeout(),
};

}  // namespace

const Descriptor kWhisperServerDescriptor{
    .kind = "whisper-server",
    .summary = "whisper.cpp's server as a child: speech to text",
    .silicon = Silicon::cpu,
    .store = catalog::Store::gguf,
    .purposes = kWhisperPurposes,
    .programs = kWhisperPrograms,
    .options = kWhisperOptions,
    .residents_max = kWhisperResidentsMax,
    .requests_max = kWhisperRequestsMax,
    .takes_args = true,
    .open = open_whisper_server_lane,
};

Result<std::shared_ptr<Lane>> open_whisper_server_lane(const Settings& settings,
                                                       const Parts& parts) {
    return WhisperServerLane::open(settings, parts);
}

}  // namespace trilane::lane
