// For tests: a plane over two fake lanes, and ears for its answers.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "plane/fake_lane.h"
#include "plane/plane.h"

namespace trilane::plane {

/// Collects one answer.
class Ear {
public:
    job::EventSink sink() {
        return [state = state_](job::Event event) {
            const std::scoped_lock lock(state->mutex);
            if (const auto* text = std::get_if<job::Text>(&event)) {
                state->text += text->text;
            }
            if (std::holds_alternative<job::Done>(event)) {
                state->ends += 1;
            }
            if (auto* failed = std::get_if<job::Failed>(&event)) {
                state->ends += 1;
                state->error = std::move(failed->error);
            }
            state->heard.notify_all();
        };
    }
    bool wait() const {
        std::unique_lock lock(state_->mutex);
        return state_->heard.wait_for(lock, kTestPatience, [&] { return state_->ends > 0; });
    }
    [[nodiscard]] int ends() const {
        const std::scoped_lock lock(state_->mutex);
        return state_->ends;
    }
    [[nodiscard]] std::string text() const {
        const std::scoped_lock lock(state_->mutex);
        return state_->text;
    }
    [[nodiscard]] std::optional<Error> error() const {
        const std::scoped_lock lock(state_->mutex);
        return state_->error;
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable heard;
        int ends = 0;
        std::string text;
        std::optional<Error> error;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline catalog::Entry entry(std::string id, std::uint64_t bytes = 10) {
    catalog::Entry out;
    out.id = std::move(id);
    out.bytes = bytes;
    return out;
}

struct Box {
    std::shared_ptr<FakeLane> gpu = std::make_shared<FakeLane>("gpu", "gpu0");
    std::shared_ptr<FakeLane> cpu = std::make_shared<FakeLane>("cpu", "cpu");
    PlaneOptions options;
    std::unique_ptr<Plane> plane;
    struct Log {
        std::mutex mutex;
        std::vector<std::string> lines;
    };
    std::shared_ptr<Log> log = std::make_shared<Log>();

    /// One pool of `bytes` for both devices.
    explicit Box(std::uint64_t bytes = 100) {
        options.memory = [bytes](std::span<const plan::Occupant>) {
            plan::Memory memory;
            memory.pools = {{"system", bytes, 0, 0}};
            memory.devices = {{"gpu0", {{0, bytes}}}, {"cpu", {{0, bytes}}}};
            return memory;
        };
        options.log = [log = log](std::string_view line) {
            const std::scoped_lock lock(log->mutex);
            log->lines.emplace_back(line);
        };
    }
    ~Box() {
        plane.reset();
        if (const std::string bug = logged("bug:"); !bug.empty() && !expects_bugs) {
            ADD_FAILURE() << bug;
        }
    }
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;

    bool expects_bugs = false;
    /// The first line of the log with that text; "" = none.
    [[nodiscard]] std::string logged(std::string_view text) const {
        const std::scoped_lock lock(log->mutex);
        for (const std::string& line : log->lines) {
            if (line.find(text) != std::string::npos) {
                return line;
            }
        }
        return {};
    }
    void start(std::vector<catalog::Entry> entries) {
        options.catalogue = [entries = std::move(entries)] { return entries; };
        plane =
            std::make_unique<Plane>(options, std::vector<std::shared_ptr<lane::Lane>>{gpu, cpu});
    }
    Ear ask(std::string model, std::string client = "", const CancelToken& cancel = {}) const {
        Ear ear;
        job::Request request;
        request.model = std::move(model);
        request.client = std::move(client);
        plane->submit(std::move(request), ear.sink(), cancel);
        return ear;
    }
    [[nodiscard]] const Residency* find(const View& view, std::string_view model) const {
        for (const LaneView& lane : view.lanes) {
            for (const Residency& one : lane.residents) {
                if (one.model == model) {
                    return &one;
                }
            }
        }
        return nullptr;
    }
    [[nodiscard]] bool holds(std::string_view model) const {
        const View view = plane->view();
        const Residency* one = find(view, model);
        return one != nullptr && lane::takes_requests(one->state);
    }
};

/// What became of an administrator's ask.
class News {
public:
    std::function<void(Status)> done() {
        return [state = state_](Status status) {
            const std::scoped_lock lock(state->mutex);
            state->result = std::move(status);
            state->told.notify_all();
        };
    }
    [[nodiscard]] bool come() const {
        const std::scoped_lock lock(state_->mutex);
        return state_->result.has_value();
    }
    [[nodiscard]] Status wait() const {
        std::unique_lock lock(state_->mutex);
        state_->told.wait_for(lock, kTestPatience, [&] { return state_->result.has_value(); });
        return state_->result ? *state_->result : fail(Fault::timeout, "no news");
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable told;
        std::optional<Status> result;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline News load(Plane& plane, Service::LoadAsk ask) {
    News news;
    plane.load(std::move(ask), news.done());
    return news;
}

inline Status load_and_wait(Plane& plane, std::string model,
                            std::optional<bool> pin = std::nullopt) {
    return load(plane, {.model = std::move(model), .lane = "", .context_tokens = {}, .pin = pin})
        .wait();
}

/// Looks again and again until it holds.
template <class Holds>
bool becomes(const Holds& holds) {
    const auto end = std::chrono::steady_clock::now() + kTestPatience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() >= end) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace trilane::plane
