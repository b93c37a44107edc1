// FakeLibrary: a library for tests that keeps names and remembers what it was asked. Its pulls wait
// until the test tells how they go.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "catalog/library.h"

namespace trilane::gateway {

class FakeLibrary final : public catalog::Library {
public:
    [[nodiscard]] std::vector<catalog::Entry> list() const override {
        const std::scoped_lock lock(mutex_);
        return entries_;
    }
    void describe(std::string id, bool whole,
                  std::function<void(Result<catalog::Description>)> done) override {
        done(catalog::Description{
            "template of " + id,
            whole ? R"({"general.architecture":"fake","all":[1]})" : R"({"fake.block_count":2})"});
    }
    void find_by_digest(std::string sha256,
                        std::function<void(Result<std::string>)> done) override {
        done(sha256 == "12" ? Result<std::string>("tiny")
                            : fail(Fault::not_found, "no model here is the file {}", sha256));
    }

    [[nodiscard]] std::vector<catalog::FurtherName> further_names() const override {
        const std::scoped_lock lock(mutex_);
        return names_;
    }
    [[nodiscard]] std::optional<catalog::FurtherName> further_name(
        std::string_view name) const override {
        for (const catalog::FurtherName& one : further_names()) {
            if (one.name == name) {
                return one;
            }
        }
        return std::nullopt;
    }
    void add_name(catalog::FurtherName name, std::function<void(Status)> done) override {
        {
            const std::scoped_lock lock(mutex_);
            if (!full_) {
                names_.push_back(std::move(name));
            }
        }
        done(full_ ? Status(fail(Fault::exhausted, "no space left; free space")) : Status());
    }
    void remove_name(std::string name, std::function<void(Status)> done) override {
        {
            const std::scoped_lock lock(mutex_);
            std::erase_if(names_, [&](const auto& one) { return one.name == name; });
        }
        done({});
    }

    Result<std::unique_ptr<catalog::PullTicket>> pull(catalog::PullAsk ask,
                                                      catalog::PullListener listener) override {
        if (ask.reference == "bad") {
            return fail(Fault::invalid, "'bad' names no repository");
        }
        const std::scoped_lock lock(mutex_);
        if (std::exchange(refuses_, false)) {
            return fail(Fault::unavailable, "its last pull is just being stopped");
        }
        asks_.push_back(std::move(ask));
        listener_ = std::move(listener);
        return std::make_unique<Ticket>(*this);
    }
    void variants(std::string reference,
                  std::function<void(Result<std::vector<catalog::Variant>>)> done) override {
        if (reference != "owner/name-GGUF") {
            done(fail(Fault::not_found, "the hub has no repository {}", reference));
            return;
        }
        done(std::vector<catalog::Variant>{
            {"Q8_0",
             {{"q/name-Q8_0-00001-of-00002.gguf", 50, ""},
              {"q/name-Q8_0-00002-of-00002.gguf", 5, ""}},
             {{"mmproj-f16.gguf", 7, ""}}},
            {"Q4_K_M", {{"name-Q4_K_M.gguf", 30, ""}}, {{"mmproj-f16.gguf", 7, ""}}}});
    }
    [[nodiscard]] std::vector<std::pair<std::string, catalog::PullNews>> pulls() const override {
        return {};
    }
    void remove(std::string id, std::function<void(Status)> done) override {
        if (id == "gone") {
            done(fail(Fault::not_found, "no file on this machine is the model 'gone'"));
            return;
        }
        {
            const std::scoped_lock lock(mutex_);
            removed_.push_back(id);
        }
        done(id == "kept" ? Status(fail(Fault::invalid, "kept is not in our folder")) : Status());
    }
    void stop() override {}

    /// Has it among the stored models.
    void put(catalog::Entry entry) {
        const std::scoped_lock lock(mutex_);
        entries_.push_back(std::move(entry));
    }
    /// From now on there is no room for names.
    void fill() { full_ = true; }
    /// The next pull does not begin.
    void refuse_next() {
        const std::scoped_lock lock(mutex_);
        refuses_ = true;
    }
    /// The pull that was asked for last; waits for it.
    catalog::PullListener listener() {
        for (;;) {
            const std::scoped_lock lock(mutex_);
            if (listener_) {
                return *std::exchange(listener_, std::nullopt);
            }
        }
    }
    [[nodiscard]] std::vector<catalog::PullAsk> asks() const {
        const std::scoped_lock lock(mutex_);
        return asks_;
    }
    [[nodiscard]] std::vector<std::string> removed() const {
        const std::scoped_lock lock(mutex_);
        return removed_;
    }
    [[nodiscard]] int left() const {
        const std::scoped_lock lock(mutex_);
        return left_;
    }

private:
    class Ticket final : public catalog::PullTicket {
    public:
        explicit Ticket(FakeLibrary& library) : library_(library) {}
        ~Ticket() override {
            const std::scoped_lock lock(library_.mutex_);
            library_.left_ += 1;
        }
        Ticket(const Ticket&) = delete;
        Ticket& operator=(const Ticket&) = delete;

    private:
        FakeLibrary& library_;
    };

    mutable std::mutex mutex_;
    std::vector<catalog::Entry> entries_;
    std::vector<catalog::FurtherName> names_;
    std::vector<catalog::PullAsk> asks_;
    std::vector<std::string> removed_;
    std::optional<catalog::PullListener> listener_;
    int left_ = 0;
    std::atomic<bool> full_ = false;
    bool refuses_ = false;
};

}  // namespace trilane::gateway
