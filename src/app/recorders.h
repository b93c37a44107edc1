// Recorders: where the gateway's records go: a line of the log, the sums of `trilane usage`, and an
// OpenTelemetry collector. Numbers and names; what was asked and answered is nobody's business.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "gateway/record.h"
#include "net/loops.h"
#include "telemetry/exporter.h"
#include "usage/ledger.h"

namespace trilane::app {

/// **Owns:** the threads of the ledger and the exporter; must outlive whoever records.
class Recorders {
public:
    /// What cannot be opened is a line in the log: answers matter more than sums.
    Recorders(const config::Config& config, const std::string& state_dir, net::Loops& loops);

    /// **Threads:** any; never waits.
    void write(const gateway::Record& record) const;

private:
    std::unique_ptr<usage::Ledger> ledger_;
    std::unique_ptr<telemetry::Exporter> exporter_;
};

/// The line of the log.
std::string audit_line(const gateway::Record& record);
/// The span that a collector gets.
telemetry::Span span_of(const gateway::Record& record);

}  // namespace trilane::app
