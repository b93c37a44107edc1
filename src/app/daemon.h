// Daemon: everything that `trilane serve` keeps running, in the order in which it depends on each
// other: loops, children, lanes, catalogue, plane, gateway.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/options.h"
#include "base/result.h"
#include "config/config.h"

namespace trilane::app {

class Daemon {
public:
    /// Listens, and begins to load what is to be loaded at the start.
    /// **Errors:** of the lanes, the model that was named, the address.
    static Result<std::unique_ptr<Daemon>> start(const ServeOptions& options,
                                                 config::Config config);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Waits until the model of the start can answer. **Errors:** why one that was named cannot;
    /// of the bundled one, which nobody asked for, that is a line in the log.
    Status wait_for_model();

    [[nodiscard]] std::string url() const;
    /// What a person reads when it is ready: the address, and a command to try.
    [[nodiscard]] std::string announcement() const;

    /// What is missing of what it was to begin with: models that are to be loaded and are not
    /// there, then lanes, in one line.
    [[nodiscard]] std::vector<std::string> shortcomings() const;

    /// Reads the configuration again if the file has changed, and takes over what can be.
    void look_at_config();

    /// Ends in order: the plane takes no more, lets running answers go on for the configured
    /// patience and ends the rest with an error that its client can read; then the connections.
    void stop();
    [[nodiscard]] std::uint32_t patience_s() const;

private:
    struct Parts;
    explicit Daemon(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace trilane::app
