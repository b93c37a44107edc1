#include "lane/child/child_lane.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/check.h"

namespace trilane::lane {
namespace {

using Clock = std::chrono::steady_clock;

/// Of a request that asks whether the server is up. Long, because a server may take the connection
/// before it has loaded, and answer when it has; each new try would take one more of its few.
constexpr std::chrono::milliseconds kReadyAnswerMax{10'000};
/// After a connection breaks, for the child's end to be seen.
constexpr std::chrono::milliseconds kBlamePatience{400};
/// Connections of a load; HttpResident has its own.
constexpr std::size_t kLoadConnectionsMax = 2;

/// How long to wait before asking again whether a server is up: an instant one must not wait, a
/// slow one must not be pestered.
std::chrono::milliseconds poll_interval(Clock::duration waited) {
    using std::chrono::milliseconds;
    if (waited < milliseconds{250}) {
        return milliseconds{5};
    }
    return waited < milliseconds{2'000} ? milliseconds{20} : milliseconds{100};
}

net::Client load_client(net::Loops& loops, std::uint16_t port) {
    net::Target target;
    target.host = kChildHost;
    target.port = port;
    net::ClientLimits limits;
    limits.connections_max = kLoadConnectionsMax;
    return {loops, std::move(target), limits};
}

/// Health is asked often enough to be known before the time is over.
void set_patience(HttpResidentOptions& options, std::chrono::milliseconds hang_timeout) {
    options.hang_timeout = hang_timeout;
    options.health_interval = std::min(options.health_interval, hang_timeout / 4);
    options.health_timeout = std::min(options.health_timeout, hang_timeout / 2);
}

std::vector<std::string> program_names(const Settings& settings, const Descriptor& descriptor) {
    if (!settings.program.empty()) {
        return {settings.program};
    }
    return {descriptor.programs.begin(), descriptor.programs.end()};
}

Descriptor on_its_device(Descriptor descriptor, const Settings& settings) {
    descriptor.silicon = silicon_of(descriptor, settings);
    return descriptor;
}

}  // namespace

Result<OpenedLane> open_shared(const Settings& settings, const Parts& parts,
                               const Descriptor& descriptor, std::string_view default_device,
                               std::span<const Reserved> reserved) {
    TRILANE_CHECK(parts.children != nullptr && parts.loops != nullptr);
    if (settings.start_timeout_s == 0 || settings.hang_timeout_s == 0 ||
        settings.silence_timeout_s == 0) {
        return fail(Fault::invalid,
                    "lane {}: start_timeout, hang_timeout and silence_timeout must be at least one "
                    "second",
                    settings.name);
    }
    TRILANE_TRY_STATUS(refuse_reserved(settings.args, reserved, settings.name));
    OpenedLane opened{settings, parts, {}};
    if (opened.settings.device.empty()) {
        opened.settings.device = default_device;
    }
    if (opened.settings.residents_max == 0) {
        opened.settings.residents_max = descriptor.residents_max;
    }
    const std::vector<std::string> names = program_names(settings, descriptor);
    TRILANE_TRY(opened.program, find_program(names, parts.path, settings.name));
    return opened;
}

ChildLane::ChildLane(OpenedLane opened, const Descriptor& descriptor)
    : settings_(std::move(opened.settings)),
      parts_(std::move(opened.parts)),
      program_(std::move(opened.program)),
      descriptor_(on_its_device(descriptor, settings_)),
      help_(program_) {}

bool ChildLane::can_serve(const catalog::Entry& entry) const {
    const auto purposes = descriptor_.purposes;
    return entry.store == descriptor_.store &&
           std::find(purposes.begin(), purposes.end(), entry.purpose) != purposes.end();
}

std::string ChildLane::program_name() const {
    return std::filesystem::path(program_).filename().string();
}

std::vector<std::string> ChildLane::environment(const Variables& of_kind) const {
    return child_environment(parts_.environment, of_kind, settings_.environment);
}

std::vector<std::string> ChildLane::user_args(const LoadWishes& wishes) const {
    std::vector<std::string> args = settings_.args;
    args.insert(args.end(), wishes.args.begin(), wishes.args.end());
    return args;
}

Result<Printed> ChildLane::ask(std::vector<std::string> arguments, const Variables& of_kind,
                               const CancelToken& cancel) const {
    arguments.insert(arguments.begin(), program_);
    return ask_program(*parts_.children, std::move(arguments), environment(of_kind), cancel);
}

Result<std::shared_ptr<const HelpText>> ChildLane::help(const Variables& of_kind,
                                                        const CancelToken& cancel) {
    return help_.get([&]() -> Result<HelpText> {
        TRILANE_TRY(const Printed printed, ask({"--help"}, of_kind, cancel));
        HelpText text(printed.text);
        if (text.empty()) {
            return fail(
                Fault::unavailable,
                "`{} --help` {} and listed no options (\"{}\"); run it by hand, then repair "
                "or reinstall it",
                program_, printed.exit.text(), excerpt(printed.text));
        }
        return text;
    });
}

Status ChildLane::describe(net::Client& /*client*/, const LoadWatch& /*watch*/,
                           Launch& /*launch*/) {
    return {};
}

Status ChildLane::try_out(net::Client& /*client*/, const LoadWatch& /*watch*/,
                          const Launch& /*launch*/) {
    return {};
}

Result<std::shared_ptr<Resident>> ChildLane::load(LoadRequest request) {
    if (request.on_phase) {
        request.on_phase(LoadPhase::starting);
    }
    TRILANE_TRY(os::PortReservation port, os::PortReservation::take());
    TRILANE_TRY(Launch launch, this->launch(request, port.port()));
    if (request.cancel.cancelled()) {
        return fail(Fault::cancelled, "the load was cancelled");
    }
    return bring_up(request, std::move(launch), std::move(port));
}

Result<std::shared_ptr<ChildProcess>> ChildLane::start(const LoadRequest& request,
                                                       const Launch& launch) {
    os::ChildOptions options;
    options.argv = launch.arguments;
    options.argv.insert(options.argv.begin(), program_);
    options.environment = environment(launch.environment);
    options.memlock_bytes = launch.memlock_bytes;
    options.cgroup = settings_.cgroup;
    options.log = log_;
    TRILANE_TRY(auto process, ChildProcess::start(*parts_.children, memory_, std::move(options),
                                                  {program_name(), settings_.name}));
    const std::string line = fmt::format("started {} as process {} for {}", program_name(),
                                         process->pid(), request.entry.id);
    log_->note(line);
    if (parts_.log) {
        parts_.log(settings_.name + ": " + line);
    }
    if (request.on_holding) {
        request.on_holding(process->observer());
    }
    return process;
}

Status ChildLane::await_ready(net::Client& client, LoadWatch& watch, const Launch& launch) {
    const Clock::time_point begin = Clock::now();
    for (;;) {
        for (const std::string& target : launch.ready_targets) {
            net::Outgoing request;
            request.target = target;
            request.head_timeout = std::min(kReadyAnswerMax, watch.left());
            const Result<net::WholeAnswer> answer = watch.fetch(client, std::move(request));
            TRILANE_TRY_STATUS(watch.check());
            if (!answer) {
                watch.note(answer.error().message);
                break;
            }
            if (answer->head.status == 200) {
                return {};
            }
            watch.note(fmt::format("GET {} was answered HTTP {} \"{}\"", target,
                                   answer->head.status, excerpt(answer->body)));
            if (answer->head.status != 404) {
                break;
            }
        }
        TRILANE_TRY_STATUS(watch.pause(poll_interval(Clock::now() - begin)));
    }
}

/// What to tell of a step that failed: a child that has just ended explains a broken connection,
/// and is the better story.
Error ChildLane::explain(Error error, const LoadWatch& watch, bool insane) const {
    if (error.fault == Fault::unavailable && watch.process().wait_ended(kBlamePatience)) {
        return watch.process().end_error(" while loading");
    }
    if (error.fault == Fault::cancelled || error.fault == Fault::timeout) {
        return error;
    }
    const std::string sentence =
        insane
            ? fmt::format("{} is up, but fails its first task ({}); try another version or device",
                          program_name(), error.message)
            : fmt::format("{} is up, but cannot be used ({})", program_name(), error.message);
    // A child's nonsense is its own, or its device's: the file may be good.
    const Fault fault = error.fault == Fault::corrupt ? Fault::unavailable : error.fault;
    return {fault, watch.process().with_tail(sentence)};
}

Result<std::shared_ptr<Resident>> ChildLane::bring_up(const LoadRequest& request, Launch launch,
                                                      os::PortReservation port) {
    const Clock::time_point begin = Clock::now();
    const std::chrono::seconds limit{settings_.start_timeout_s};
    const std::uint16_t number = port.port();
    TRILANE_TRY(auto process, start(request, launch));
    LoadWatch watch(process, request.cancel, begin + limit, limit);
    net::Client client = load_client(*parts_.loops, number);

    TRILANE_TRY_STATUS(await_ready(client, watch, launch));
    if (request.on_phase) {
        request.on_phase(LoadPhase::warming);
    }
    if (Status described = describe(client, watch, launch); !described) {
        return tl::unexpected(explain(std::move(described).error(), watch, false));
    }
    launch.resident.target = client.target();
    set_patience(launch.resident, std::chrono::seconds{settings_.hang_timeout_s});
    auto resident =
        std::make_shared<ChildResident>(*parts_.loops, launch.resident, process, std::move(port));
    Status tried =
        launch.takes_chat ? resident->check_sanity(watch) : try_out(client, watch, launch);
    if (!tried) {
        return tl::unexpected(explain(std::move(tried).error(), watch, true));
    }
    process->look_again();  // what it held before it was loaded is no plan's basis
    TRILANE_TRY_STATUS(resident->begin_service(request.on_lost));
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    log_->note(fmt::format("{} is ready after {} ms", request.entry.id, took.count()));
    if (launch.sounds.any()) {
        return std::shared_ptr<Resident>(
            std::make_shared<SoundResident>(std::move(resident), launch.sounds, parts_));
    }
    return std::shared_ptr<Resident>(std::move(resident));
}

plan::Need need_of_files(const catalog::Entry& entry, std::uint64_t extra_bytes) {
    plan::Need need;
    need.parts = {{"weights", entry.bytes}, {"engine", extra_bytes}};
    return need;
}

}  // namespace trilane::lane
