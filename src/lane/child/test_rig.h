// ChildRig: what tests of supervised lanes need: programs that play engines (trilane-fake-lane
// under their names, with a script beside them), lanes over them, answers and losses as they come.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "json/json.h"
#include "lane/child/test_folder.h"
#include "lane/descriptor.h"
#include "net/client.h"
#include "net/loops.h"
#include "os/child.h"

namespace trilane::lane::rig {

/// Longer than anything takes, sanitizers included.
inline constexpr std::chrono::seconds kTestPatience{60};

/// Waits until something is so. False when it never is.
template <class Condition>
bool eventually(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + kTestPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

inline double ms_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
}

/// One request's events. Shared with its sink.
class Answer {
public:
    job::EventSink sink(const std::shared_ptr<Answer>& self) {
        return [self](job::Event event) {
            const std::lock_guard<std::mutex> lock(self->mutex_);
            self->take(event);
            self->changed_.notify_all();
        };
    }
    /// Waits for the last event.
    bool ended() {
        return wait([this] { return ends_ > 0; });
    }
    bool has_text() {
        return wait([this] { return !text_.empty() || ends_ > 0; });
    }

    // After ended():
    [[nodiscard]] std::string text() const { return locked(text_); }
    [[nodiscard]] std::optional<Error> error() const { return locked(error_); }
    [[nodiscard]] std::vector<job::FinishReason> reasons() const { return locked(reasons_); }
    [[nodiscard]] std::vector<job::ToolCallPiece> calls() const { return locked(calls_); }
    [[nodiscard]] job::Usage usage() const { return locked(usage_); }
    [[nodiscard]] std::vector<std::vector<float>> vectors() const { return locked(vectors_); }
    [[nodiscard]] std::vector<float> scores() const { return locked(scores_); }
    [[nodiscard]] job::Tokens tokens() const { return locked(tokens_); }
    [[nodiscard]] job::Transcript transcript() const { return locked(transcript_); }
    [[nodiscard]] std::size_t segments() const { return locked(segments_); }
    [[nodiscard]] std::string sound() const { return locked(sound_); }
    [[nodiscard]] std::string sound_type() const { return locked(sound_type_); }
    [[nodiscard]] std::vector<job::Picture> pictures() const { return locked(pictures_); }
    [[nodiscard]] int ends() const { return locked(ends_); }
    [[nodiscard]] std::string message() const {
        const std::optional<Error> error = this->error();
        return error ? error->message : std::string();
    }

private:
    void take(const job::Event& event) {
        if (const auto* piece = std::get_if<job::Text>(&event)) {
            text_ += piece->text;
        } else if (const auto* call = std::get_if<job::ToolCallPiece>(&event)) {
            calls_.push_back(*call);
        } else if (const auto* end = std::get_if<job::ChoiceEnd>(&event)) {
            reasons_.push_back(end->reason);
        } else if (const auto* vectors = std::get_if<job::Vectors>(&event)) {
            vectors_ = vectors->vectors;
        } else if (const auto* scores = std::get_if<job::Scores>(&event)) {
            scores_ = scores->scores;
        } else if (const auto* tokens = std::get_if<job::Tokens>(&event)) {
            tokens_ = *tokens;
        } else if (const auto* transcript = std::get_if<job::Transcript>(&event)) {
            transcript_ = *transcript;
        } else if (std::holds_alternative<job::Segment>(event)) {
            ++segments_;
        } else if (const auto* sound = std::get_if<job::Sound>(&event)) {
            sound_ += sound->bytes;
            sound_type_ = sound->type;
        } else if (const auto* picture = std::get_if<job::Picture>(&event)) {
            pictures_.push_back(*picture);
        } else if (const auto* done = std::get_if<job::Done>(&event)) {
            usage_ = done->usage;
            ++ends_;
        } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
            error_ = failed->error;
            ++ends_;
        }
    }
    template <class Condition>
    bool wait(const Condition& condition) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, kTestPatience, condition);
    }
    template <class T>
    T locked(const T& value) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return value;
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    std::optional<Error> error_;
    std::vector<job::FinishReason> reasons_;
    std::vector<job::ToolCallPiece> calls_;
    job::Usage usage_;
    std::vector<std::vector<float>> vectors_;
    std::vector<float> scores_;
    job::Tokens tokens_;
    job::Transcript transcript_;
    std::size_t segments_ = 0;
    std::string sound_;
    std::string sound_type_;
    std::vector<job::Picture> pictures_;
    int ends_ = 0;
};

/// Hears on_lost.
class LossRecorder {
public:
    static std::function<void(const Error&)> listener(const std::shared_ptr<LossRecorder>& self) {
        return [self](const Error& error) {
            const std::lock_guard<std::mutex> lock(self->mutex_);
            self->losses_.push_back(error);
        };
    }
    [[nodiscard]] std::size_t count() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return losses_.size();
    }
    [[nodiscard]] std::string message() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return losses_.empty() ? std::string() : losses_.front().message;
    }

private:
    mutable std::mutex mutex_;
    std::vector<Error> losses_;
};

/// A process that has been reaped is no process any more.
inline bool is_gone(pid_t pid) {
    return ::kill(pid, 0) != 0 && errno == ESRCH;
}

class ChildRig : public ::testing::Test {
protected:
    /// A folder with the fake under that name, and its script.
    std::string install(std::string_view name, std::string_view script) {
        std::string folder = folder_.path() + "/bin" + std::to_string(++folders_);
        std::filesystem::create_directories(folder);
        std::filesystem::create_symlink(TRILANE_FAKE_LANE, folder + "/" + std::string(name));
        folder_.write("bin" + std::to_string(folders_) + "/" + std::string(name) + ".fake.json",
                      script);
        return folder;
    }

    Settings settings(std::string name, std::string kind) {
        Settings settings;
        settings.name = std::move(name);
        settings.kind = std::move(kind);
        settings.start_timeout_s = 60;
        return settings;
    }

    std::shared_ptr<Lane> open(const Settings& settings, const std::string& folder) {
        Parts parts;
        parts.children = &children_;
        parts.loops = &loops_;
        parts.path = {folder};
        parts.environment = {"HOME=" + folder_.path(), "PATH=/usr/bin:/bin"};
        parts.environment.insert(parts.environment.end(), inherited_.begin(), inherited_.end());
        Result<std::shared_ptr<Lane>> opened = open_lane(settings, parts);
        EXPECT_TRUE(opened.has_value()) << opened.error().message;
        return opened ? *opened : nullptr;
    }
    /// A llama-server lane called gpu.
    std::shared_ptr<Lane> gpu(std::string_view script) {
        return open(settings("gpu", "llama-server"), install("llama-server", script));
    }

    LoadRequest gguf(const std::string& id, catalog::Purpose purpose = catalog::Purpose::chat) {
        LoadRequest request;
        request.entry.id = id;
        request.entry.purpose = purpose;
        request.entry.path = "/models/" + id + ".gguf";
        request.need.parts = {{"weights", 1U << 20U}};
        request.need.context_tokens = 4096;
        request.need.parallel = 2;
        request.on_lost = LossRecorder::listener(losses_);
        return request;
    }

    static std::shared_ptr<Answer> ask(Resident& resident, const std::string& prompt,
                                       std::optional<std::uint32_t> max_tokens = std::nullopt,
                                       const CancelToken& cancel = {}) {
        job::Request request;
        request.id = "test";
        request.model = resident.card().id;
        job::Message message;
        message.content = prompt;
        request.ask = job::Chat{{std::move(message)}, {}, {}};
        request.max_tokens = max_tokens;
        return ask(resident, std::move(request), cancel);
    }
    static std::shared_ptr<Answer> ask(Resident& resident, job::Request request,
                                       const CancelToken& cancel = {}) {
        auto answer = std::make_shared<Answer>();
        resident.submit(std::move(request), answer->sink(answer), cancel);
        return answer;
    }

    /// Every process that the lane has started, by its log.
    static std::vector<pid_t> processes(const Lane& lane) {
        constexpr std::string_view kBefore = " as process ";
        std::vector<pid_t> processes;
        for (const os::LogLine& line : lane.log()->lines()) {
            if (const std::size_t at = line.text.find(kBefore); at != std::string::npos) {
                processes.push_back(std::stoi(line.text.substr(at + kBefore.size())));
            }
        }
        return processes;
    }
    static bool all_gone(const Lane& lane) {
        const std::vector<pid_t> all = processes(lane);
        return std::all_of(all.begin(), all.end(), is_gone);
    }
    static bool has_line(const Lane& lane, std::string_view part) {
        const std::vector<os::LogLine> lines = lane.log()->lines();
        return std::any_of(lines.begin(), lines.end(), [part](const os::LogLine& line) {
            return line.text.find(part) != std::string::npos;
        });
    }
    /// The port of the newest child, by its command line in the log.
    static std::uint16_t port(const Lane& lane) {
        constexpr std::string_view kBefore = "port ";
        std::uint16_t port = 0;
        for (const os::LogLine& line : lane.log()->lines()) {
            const std::size_t at = line.text.find(kBefore);
            if (line.text.starts_with("starting ") && at != std::string::npos) {
                port = static_cast<std::uint16_t>(std::stoi(line.text.substr(at + kBefore.size())));
            }
        }
        return port;
    }
    /// GET of the fake's own pages.
    json::Value fake_page(const Lane& lane, const std::string& path) {
        net::Target target;
        target.host = "127.0.0.1";
        target.port = port(lane);
        net::Client client(loops_, target);
        net::Outgoing request;
        request.target = path;
        const auto answer = client.fetch(std::move(request));
        EXPECT_TRUE(answer.has_value()) << answer.error().message;
        return answer ? json::parse(answer->body).value_or(json::Value()) : json::Value();
    }

    TestFolder folder_;
    int folders_ = 0;
    std::vector<std::string> inherited_;
    os::ChildWatch children_;
    net::Loops loops_{2};
    std::shared_ptr<LossRecorder> losses_ = std::make_shared<LossRecorder>();
};

}  // namespace trilane::lane::rig
