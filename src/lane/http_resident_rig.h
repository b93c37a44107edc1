// For tests: an HttpResident over a ScriptedServer.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "lane/http_resident.h"
#include "lane/scripted_server.h"
#include "net/loops.h"

namespace trilane::lane {

class HttpResidentRig : public testing::Test {
protected:
    HttpResidentRig() {
        options_.card.id = "m";
        options_.card.context_tokens = 4096;
        options_.card.abilities.chat = options_.card.abilities.complete = true;
        options_.upstream_model = "qwen3-4b";
        options_.target = server_.target();
        options_.slots = 4;
    }

    HttpResident& resident() {
        if (!resident_) {
            resident_ = std::make_unique<HttpResident>(loops_, options_);
        }
        return *resident_;
    }
    CancelToken ask(Heard& heard, job::Request request = upstream::chat_request()) {
        CancelToken cancel;
        resident().submit(std::move(request), heard.sink(), cancel);
        return cancel;
    }
    /// Waits until nothing is left of a request on our side: its slot is free.
    bool wait_until_free() {
        const auto until = std::chrono::steady_clock::now() + kScriptPatience;
        while (std::chrono::steady_clock::now() < until) {
            const ResidentSnapshot snapshot = resident().snapshot();
            if (snapshot.slots_busy == 0 && snapshot.queued == 0) {
                return true;
            }
            std::this_thread::yield();
        }
        return false;
    }

    ScriptedServer server_;
    net::Loops loops_{2};
    HttpResidentOptions options_;
    std::unique_ptr<HttpResident> resident_;
};

}  // namespace trilane::lane
