// ChildLane: what every lane of supervised servers does the same way: take a port, start the
// program in a scrubbed environment, wait until it answers, try it out, watch it. Kinds say how
// their program is called and what a good first answer is; when to load is the plane's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/audio/sound_resident.h"
#include "lane/child/arguments.h"
#include "lane/child/child_resident.h"
#include "lane/child/environment.h"
#include "lane/child/load_watch.h"
#include "lane/child/program.h"
#include "lane/descriptor.h"
#include "lane/http_resident.h"
#include "lane/lane.h"
#include "lane/memory_watch.h"
#include "net/client.h"

namespace trilane::lane {

/// The address every child listens on.
inline constexpr std::string_view kChildHost = "127.0.0.1";

/// How one model is served: what a kind of lane decides before its child starts.
struct Launch {
    std::vector<std::string> arguments;  ///< after the program's name
    Variables environment;               ///< of the kind; the user's come on top
    std::optional<std::uint64_t> memlock_bytes;
    /// GET requests that tell when the server is up, in order: 200 = up, 404 = ask the next one,
    /// anything else = not yet.
    std::vector<std::string> ready_targets{"/health"};
    /// Its endpoint and callbacks are filled in by ChildLane.
    HttpResidentOptions resident;
    SoundNeeds sounds;       ///< what of the jobs' sounds must be converted for it
    bool takes_chat = true;  ///< then a test question is its first task; else try_out()'s
};

/// What an opened lane consists of: settings without blanks, and its program.
struct OpenedLane {
    Settings settings;
    Parts parts;
    std::string program;
};

/// Checks what all kinds share, fills in the kind's defaults and finds the program.
/// **Errors:** invalid, not_found.
Result<OpenedLane> open_shared(const Settings& settings, const Parts& parts,
                               const Descriptor& descriptor, std::string_view default_device,
                               std::span<const Reserved> reserved);

class ChildLane : public Lane {
public:
    ChildLane(OpenedLane opened, const Descriptor& descriptor);

    [[nodiscard]] const std::string& name() const final { return settings_.name; }
    [[nodiscard]] const Descriptor& descriptor() const final { return descriptor_; }
    [[nodiscard]] const std::string& device() const final { return settings_.device; }
    [[nodiscard]] std::uint32_t residents_max() const final { return settings_.residents_max; }
    [[nodiscard]] std::shared_ptr<os::LogRing> log() const final { return log_; }
    /// By the descriptor's store and purposes.
    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override;

    Result<std::shared_ptr<Resident>> load(LoadRequest request) final;

protected:
    /// How to serve it. May run the program to ask what it knows; `watch` does not exist yet.
    /// **Errors:** not_found, invalid, unavailable: nothing has been started.
    virtual Result<Launch> launch(const LoadRequest& request, std::uint16_t port) = 0;
    /// The server answers: complete `launch.resident` by what it says of itself.
    virtual Status describe(net::Client& client, const LoadWatch& watch, Launch& launch);
    /// A first task for a server without chat.
    virtual Status try_out(net::Client& client, const LoadWatch& watch, const Launch& launch);

    [[nodiscard]] const Settings& settings() const { return settings_; }
    [[nodiscard]] const Parts& parts() const { return parts_; }
    [[nodiscard]] const std::string& program() const { return program_; }
    /// "llama-server": the program's name for messages.
    [[nodiscard]] std::string program_name() const;
    [[nodiscard]] std::vector<std::string> environment(const Variables& of_kind) const;
    /// The lane's arguments and the model's.
    [[nodiscard]] std::vector<std::string> user_args(const LoadWishes& wishes) const;

    /// The options of the program, by its --help. **Errors:** unavailable: it cannot be run, and
    /// what it printed.
    Result<std::shared_ptr<const HelpText>> help(const Variables& of_kind,
                                                 const CancelToken& cancel);
    /// What the program prints when it is called with `arguments`. **Errors:** as ask_program.
    Result<Printed> ask(std::vector<std::string> arguments, const Variables& of_kind,
                        const CancelToken& cancel) const;

private:
    Result<std::shared_ptr<ChildProcess>> start(const LoadRequest& request, const Launch& launch);
    static Status await_ready(net::Client& client, LoadWatch& watch, const Launch& launch);
    Result<std::shared_ptr<Resident>> bring_up(const LoadRequest& request, Launch launch,
                                               os::PortReservation port);
    [[nodiscard]] Error explain(Error error, const LoadWatch& watch, bool insane) const;

    const Settings settings_;
    const Parts parts_;
    const std::string program_;
    const Descriptor descriptor_;  // of its kind, with the silicon that its device is on
    const std::shared_ptr<os::LogRing> log_ = std::make_shared<os::LogRing>();
    OncePerVersion<HelpText> help_;
    MemoryWatch memory_;
};

/// What a server takes whose buffers nobody has written a formula for: its files, and `extra_bytes`
/// for the program and its buffers. Observation corrects it.
plan::Need need_of_files(const catalog::Entry& entry, std::uint64_t extra_bytes);

}  // namespace trilane::lane
