#include "gateway/ollama_library.h"

#include <memory>
#include <mutex>
#include <utility>

#include "dialect/ollama/library_asks.h"
#include "dialect/ollama/ollama.h"
#include "gateway/http_error.h"
#include "gateway/model_names.h"

namespace trilane::gateway::ollama_library {
namespace {

namespace ollama = dialect::ollama;

/// Answers when there is no library to work with.
bool has_library(Desk& desk, Call& call) {
    if (desk.library() != nullptr) {
        return true;
    }
    desk.refuse(call, 501, "this daemon has no folder for models; set HOME or XDG_DATA_HOME");
    return false;
}

/// Reads a body with `read` and goes on with what it asks, or answers why not.
template <class Ask>
void with_ask(Desk& desk, Call call, Result<Ask> (*read)(std::string_view),
              void (*then)(Desk& desk, Call call, Ask ask)) {
    desk.read_body(std::move(call), [&desk, read, then](Call whole) {
        auto ask = read(whole.request.body);
        if (!ask) {
            desk.refuse(whole, ask.error());
        } else if (has_library(desk, whole)) {
            then(desk, std::move(whole), *std::move(ask));
        }
    });
}

/// 200 with nothing in it, as Ollama answers what is done at once; or the error.
std::function<void(Status)> plain_answer(Desk& desk, Call call) {
    return [&desk, shared = std::make_shared<Call>(std::move(call))](const Status& status) {
        if (!status) {
            desk.refuse_by_library(*shared, status.error());
            return;
        }
        desk.respond_text(*shared, "", "");
    };
}

/// Writes the lines of something that takes a while to one client: a stream, or only its end.
class Account {
public:
    Account(Desk& desk, Call call, bool stream)
        : desk_(desk), call_(std::move(call)), stream_(stream) {}

    /// Sends the head of a stream, and a first line.
    void begin(std::string_view status) {
        if (!stream_) {
            return;
        }
        net::StreamHead head;
        head.content_type = dialect::kNdjsonType;
        head.headers = call_.headers;
        head.headers.push_back({"Cache-Control", "no-cache"});
        call_.exchange->start_stream(std::move(head));
        say(ollama::status_line(status));
    }
    /// False when nobody reads any more.
    bool say(std::string line) {
        if (stream_ && !ended_) {
            line += '\n';
            return call_.exchange->send(line);
        }
        return !ended_;
    }
    void end(const Status& status) {
        if (std::exchange(ended_, true)) {
            return;
        }
        if (!stream_) {
            if (status) {
                desk_.respond_json(call_, ollama::status_line("success"));
            } else {
                desk_.refuse_by_library(call_, status.error());
            }
            return;
        }
        desk_.count(call_, status ? 200 : library_status(status.error()));
        call_.exchange->send(
            (status ? ollama::status_line("success") : ollama::error_body(status.error())) + "\n");
        call_.exchange->finish();
    }
    void leave() {
        constexpr unsigned kClientGone = 499;
        if (!std::exchange(ended_, true)) {
            desk_.count(call_, kClientGone);
        }
    }
    [[nodiscard]] net::Exchange& exchange() const { return *call_.exchange; }
    [[nodiscard]] Call& call() { return call_; }

private:
    Desk& desk_;
    Call call_;
    const bool stream_;
    bool ended_ = false;
};

/// A client that follows a pull. Its leaving is the end of its interest in it.
class PullFollower : public std::enable_shared_from_this<PullFollower> {
public:
    PullFollower(Desk& desk, Call call, bool stream)
        : desk_(desk), account_(desk, std::move(call), stream) {}

    void begin(catalog::PullAsk ask) {
        {
            const std::scoped_lock lock(mutex_);
            catalog::PullListener listener;
            listener.on_news = [self = shared_from_this()](const catalog::PullNews& news) {
                self->on_news(news);
            };
            listener.on_end = [self = shared_from_this()](const Result<catalog::Entry>& entry) {
                self->on_end(entry);
            };
            auto ticket = desk_.library()->pull(std::move(ask), std::move(listener));
            if (!ticket) {
                desk_.refuse(account_.call(), ticket.error());
                return;
            }
            ticket_ = *std::move(ticket);
            account_.begin("pulling manifest");
        }
        account_.exchange().on_gone([self = weak_from_this()] {
            if (const auto follower = self.lock()) {
                follower->leave();
            }
        });
    }

private:
    void on_news(const catalog::PullNews& news) {
        const std::scoped_lock lock(mutex_);
        if (news.phase == "checking" && !std::exchange(checking_, true)) {
            account_.say(ollama::status_line("verifying sha256 digest"));
        } else if (news.total_bytes > 0 && news.phase != "checking") {
            checking_ = false;
            account_.say(
                ollama::download_line(news.sha256, news.file, news.total_bytes, news.done_bytes));
        }
    }
    void on_end(const Result<catalog::Entry>& entry) {
        std::unique_ptr<catalog::PullTicket> ticket;
        const std::scoped_lock lock(mutex_);
        if (entry) {
            account_.say(ollama::status_line("writing manifest"));
        }
        account_.end(entry.map([](const catalog::Entry&) {}));
        ticket = std::move(ticket_);
    }
    void leave() {
        std::unique_ptr<catalog::PullTicket> ticket;
        const std::scoped_lock lock(mutex_);
        account_.leave();
        ticket = std::move(ticket_);
    }

    Desk& desk_;
    std::mutex mutex_;
    Account account_;
    std::unique_ptr<catalog::PullTicket> ticket_;
    bool checking_ = false;
};

void pull_model(Desk& desk, Call call, ollama::NameAsk ask) {
    if (model_called(desk, ask.model)) {
        Account account(desk, std::move(call), ask.stream);
        account.begin("pulling manifest");
        account.end({});
        return;
    }
    if (const Status free = check_free(desk, ask.model); !free) {
        desk.refuse(call, free.error());
        return;
    }
    catalog::PullAsk pulling;
    pulling.reference = ask.model;
    pulling.name = ask.model;
    const auto follower = std::make_shared<PullFollower>(desk, std::move(call), ask.stream);
    follower->begin(std::move(pulling));
}

void remove_model(Desk& desk, Call call, ollama::NameAsk ask) {
    delete_called(desk, "model", ask.model, desk.service().find(ask.model),
                  plain_answer(desk, std::move(call)));
}

/// A further name for what `from` means, with what is said and set when that is asked for.
Result<catalog::FurtherName> made_of(Desk& desk, const std::string& from, std::string name) {
    TRILANE_TRY_STATUS(check_free(desk, name));
    TRILANE_TRY(const job::ModelCard card, desk.service().find(from));
    catalog::FurtherName further =
        desk.library()->further_name(from).value_or(catalog::FurtherName());
    further.name = std::move(name);
    further.model = card.id;
    further.added_unix_s = 0;
    further.pulled = false;
    return further;
}

void copy_model(Desk& desk, Call call, ollama::CopyAsk ask) {
    auto further = made_of(desk, ask.source, std::move(ask.destination));
    if (!further) {
        desk.refuse(call, further.error());
        return;
    }
    desk.library()->add_name(*std::move(further), plain_answer(desk, std::move(call)));
}

void create_from(Desk& desk, Call call, const ollama::CreateAsk& ask, const std::string& from) {
    auto further = made_of(desk, from, ask.model);
    if (!further) {
        desk.refuse(call, further.error());
        return;
    }
    further->system = ask.system.empty() ? further->system : ask.system;
    further->parameters = ollama::merged_parameters(further->parameters, ask.parameters);
    further->licence = ask.licence.empty() ? further->licence : ask.licence;
    const auto account = std::make_shared<Account>(desk, std::move(call), ask.stream);
    account->begin("writing manifest");
    desk.library()->add_name(*std::move(further),
                             [account](const Status& status) { account->end(status); });
}

constexpr std::string_view kSha256 = "sha256:";

void create_model(Desk& desk, Call call, ollama::CreateAsk ask) {
    if (ask.digest.empty()) {
        create_from(desk, std::move(call), ask, ask.from);
        return;
    }
    const std::string sha256 =
        ask.digest.starts_with(kSha256) ? ask.digest.substr(kSha256.size()) : ask.digest;
    desk.library()->find_by_digest(
        sha256, [&desk, ask = std::move(ask),
                 shared = std::make_shared<Call>(std::move(call))](const Result<std::string>& id) {
            if (!id) {
                desk.refuse(*shared, id.error());
                return;
            }
            create_from(desk, std::move(*shared), ask, *id);
        });
}

}  // namespace

void pull(Desk& desk, Call call) {
    with_ask<ollama::NameAsk>(desk, std::move(call), ollama::read_name_ask, pull_model);
}

void remove(Desk& desk, Call call) {
    with_ask<ollama::NameAsk>(desk, std::move(call), ollama::read_name_ask, remove_model);
}

void copy(Desk& desk, Call call) {
    with_ask<ollama::CopyAsk>(desk, std::move(call), ollama::read_copy_ask, copy_model);
}

void create(Desk& desk, Call call) {
    with_ask<ollama::CreateAsk>(desk, std::move(call), ollama::read_create_ask, create_model);
}

void blob(Desk& desk, Call call) {
    if (!has_library(desk, call)) {
        return;
    }
    const bool asks = call.request.method == "HEAD";
    const std::string sha256 =
        call.tail.starts_with(kSha256) ? call.tail.substr(kSha256.size()) : call.tail;
    desk.library()->find_by_digest(
        sha256, [&desk, asks,
                 shared = std::make_shared<Call>(std::move(call))](const Result<std::string>& id) {
            if (id) {
                desk.respond_text(*shared, "", "");
            } else if (asks) {
                desk.refuse(*shared, id.error());
            } else {
                desk.refuse(*shared, 501,
                            "files of models are not taken over HTTP; run `trilane import FILE` on "
                            "the machine of the daemon, or pull the model from a hub");
            }
        });
}

void push(Desk& desk, Call call) {
    desk.refuse(call, 501,
                "models are not pushed to hubs from here; upload the file there yourself");
}

}  // namespace trilane::gateway::ollama_library
