// For tests of the client: a server on given loops, and how a fetch ended.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "net/client.h"
#include "net/loops.h"
#include "net/server.h"

namespace trilane::net {

inline std::unique_ptr<Server> started(Loops& loops, Handler handler) {
    ServerOptions options;
    options.loops = &loops;
    auto server = Server::start(std::move(options), std::move(handler));
    EXPECT_TRUE(server) << server.error().message;
    return server ? std::move(*server) : nullptr;
}

/// "ok", or the fault's name.
inline std::string fault_of(const Result<WholeAnswer>& answer) {
    return answer ? "ok" : std::string(fault_name(answer.error().fault));
}

}  // namespace trilane::net
