#include "lane/sd_server/sd_server.h"

#include <array>
#include <utility>

#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/sanity.h"
#include "lane/options.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

constexpr std::uint32_t kSdResidentsMax = 1;
constexpr std::uint32_t kSdRequestsMax = 1;
/// Buffers for a picture of 1024 × 1024, decoded in tiles, and the process. An estimate.
constexpr std::uint64_t kSdBuffersBytes = std::uint64_t{3} << 30U;

/// Of one request for pictures, on a CPU.
constexpr std::chrono::minutes kSdAnswerMax{60};

constexpr std::string_view kUseModel = "name the model in the request or the catalogue";
constexpr std::array<Reserved, 7> kSdReserved{{
    {"-l", kRemove},
    {"--listen-ip", kRemove},
    {"--listen-port", kRemove},
    {"-m", kUseModel},
    {"--model", kUseModel},
    {"--diffusion-model", kUseModel},
    {"--help", kRemove},
}};

class SdServerLane final : public ChildLane {
public:
    using ChildLane::ChildLane;

    static Result<std::shared_ptr<Lane>> open(const Settings& settings, const Parts& parts) {
        TRILANE_TRY(OpenedLane opened,
                    open_shared(settings, parts, kSdServerDescriptor, "gpu0", kSdReserved));
        return std::shared_ptr<Lane>(
            std::make_shared<SdServerLane>(std::move(opened), kSdServerDescriptor));
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& /*wishes*/) const override {
        return need_of_files(entry, kSdBuffersBytes);
    }

protected:
    Result<Launch> launch(const LoadRequest& request, std::uint16_t port) override {
        TRILANE_TRY_STATUS(refuse_reserved(request.wishes.args, kSdReserved, name()));
        TRILANE_TRY(const auto options, help({}, request.cancel));
        Arguments line(*options, user_args(request.wishes));
        line.add("--listen-ip").add(std::string(kChildHost));
        line.add("--listen-port").add(std::to_string(port));
        // With text encoders of its own, the file holds only the diffusion part.
        const bool has_encoders =
            line.user_gives({"--clip_l", "--clip_g", "--t5xxl", "--llm", "--qwen2vl"});
        line.add(has_encoders ? "--diffusion-model" : "--model").add(request.entry.path);
        Launch launch;
        launch.arguments = std::move(line).finish();
        launch.ready_targets = {"/v1/models", "/"};
        launch.resident.card = card_of(request.entry);
        launch.resident.upstream_model = request.entry.id;
        launch.resident.slots = kSdRequestsMax;
        launch.takes_chat = false;
        launch.resident.rules.draws_by_sdapi = true;
        launch.resident.silence_timeout = kSdAnswerMax;
        return launch;
    }

    Status try_out(net::Client& client, const LoadWatch& watch, const Launch& /*launch*/) override {
        return check_drawing(client, watch);
    }
};

constexpr std::array kSdPurposes{Purpose::image};
constexpr std::array<std::string_view, 1> kSdPrograms{"sd-server"};
constexpr std::array kSdOptions{
    option::device("the GPU that the program would choose, else the CPU"),
    option::program("sd-server on PATH"),
    option::args("Further arguments for every start, such as --vae and --t5xxl with their files; "
                 "those that Trilane sets itself are refused."),
    option::environment(),
    option::residents_max("1"),
    option::cgroup(),
    option::start_timeout(),
};

}  // namespace

const Descriptor kSdServerDescriptor{
    .kind = "sd-server",
    .summary = "stable-diffusion.cpp's server as a child: text to pictures",
    .silicon = Silicon::gpu,
    .store = catalog::Store::gguf,
    .purposes = kSdPurposes,
    .programs = kSdPrograms,
    .options = kSdOptions,
    .residents_max = kSdResidentsMax,
    .requests_max = kSdRequestsMax,
    .takes_args = true,
    .open = open_sd_server_lane,
};

Result<std::shared_ptr<Lane>> open_sd_server_lane(const Settings& settings, const Parts& parts) {
    return SdServerLane::open(settings, parts);
}

}  // namespace trilane::lane
