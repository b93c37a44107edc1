#include "gateway/lemonade_library.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "base/utf8.h"
#include "dialect/lemonade/lemonade.h"
#include "gateway/downloads.h"
#include "gateway/generation.h"
#include "gateway/http_error.h"
#include "gateway/lemonade_shelf.h"
#include "gateway/model_names.h"
#include "gateway/query.h"

namespace trilane::gateway::lemonade_api {
namespace {

bool keeps_models(Desk& desk, Call& call) {
    if (desk.library() != nullptr) {
        return true;
    }
    desk.refuse(call, 501, "this daemon has no folder for models; set HOME or XDG_DATA_HOME");
    return false;
}

std::string installed(std::string_view model) {
    return fmt::format("Installed model: {}", model);
}

std::string failure_event(const Error& error) {
    return lemonade::error_event(
        error, library_status(error) == kInsufficientStorage ? lemonade::kNoRoomCode : "");
}

/// A client that follows a pull, event by event or only to its end. Its leaving is the end of its
/// interest in it.
class PullWatch : public std::enable_shared_from_this<PullWatch> {
public:
    PullWatch(Desk& desk, Call call, lemonade::PullAsk ask)
        : desk_(desk), call_(std::move(call)), ask_(std::move(ask)) {}

    void begin(catalog::PullAsk pulling) {
        {
            const std::scoped_lock lock(mutex_);
            catalog::PullListener listener;
            listener.on_news = [self = shared_from_this()](const catalog::PullNews& news) {
                self->on_news(news);
            };
            listener.on_end = [self = shared_from_this()](const Result<catalog::Entry>& entry) {
                self->on_end(entry.map([](const catalog::Entry&) {}));
            };
            auto ticket = desk_.library()->pull(std::move(pulling), std::move(listener));
            if (!ticket) {
                desk_.refuse(call_, ticket.error());
                return;
            }
            ticket_ = *std::move(ticket);
            start_stream();
        }
        call_.exchange->on_gone([self = weak_from_this()] {
            if (const auto watch = self.lock()) {
                watch->leave();
            }
        });
    }
    /// It is here already.
    void end_at_once() {
        const std::scoped_lock lock(mutex_);
        start_stream();
        end({});
    }

private:
    void start_stream() {
        if (!ask_.stream) {
            return;
        }
        net::StreamHead head;
        head.content_type = dialect::kEventStreamType;
        head.headers = call_.headers;
        head.headers.push_back({"Cache-Control", "no-cache"});
        head.heartbeat = ": waiting\n\n";
        head.heartbeat_interval = kHeartbeatInterval;
        call_.exchange->start_stream(std::move(head));
    }
    void on_news(const catalog::PullNews& news) {
        const std::scoped_lock lock(mutex_);
        if (ended_ || !ask_.stream || news.total_bytes == 0) {
            return;
        }
        progress_ = advanced(std::move(progress_), news);
        call_.exchange->send(lemonade::progress_event(progress_));
    }
    void on_end(const Status& status) {
        std::unique_ptr<catalog::PullTicket> ticket;  // goes after the lock
        const std::scoped_lock lock(mutex_);
        end(status);
        ticket = std::move(ticket_);
    }
    void end(const Status& status) {
        if (std::exchange(ended_, true)) {
            return;
        }
        if (!ask_.stream) {
            if (status) {
                desk_.respond_json(
                    call_, lemonade::success_body(installed(ask_.model), ask_.model, ask_.ignored));
            } else {
                desk_.refuse_by_library(call_, status.error());
            }
            return;
        }
        desk_.count(call_, status ? 200 : library_status(status.error()));
        call_.exchange->send(status ? lemonade::complete_event(progress_)
                                    : failure_event(status.error()));
        call_.exchange->finish();
    }
    void leave() {
        constexpr unsigned kGone = 499;
        std::unique_ptr<catalog::PullTicket> ticket;  // goes after the lock
        const std::scoped_lock lock(mutex_);
        if (!std::exchange(ended_, true)) {
            desk_.count(call_, kGone);
        }
        ticket = std::move(ticket_);
    }

    Desk& desk_;
    std::mutex mutex_;
    Call call_;
    const lemonade::PullAsk ask_;
    lemonade::Progress progress_;
    std::unique_ptr<catalog::PullTicket> ticket_;
    bool ended_ = false;
};

/// What is to be pulled. **Errors:** invalid: a name of Lemonade's own list says no repository.
Result<catalog::PullAsk> pulling_of(const lemonade::PullAsk& ask) {
    catalog::PullAsk pulling;
    pulling.reference = ask.checkpoint.empty() ? ask.model : ask.checkpoint;
    pulling.name = ask.model;
    if (ask.checkpoint.empty() && ask.model.find('/') == std::string::npos) {
        return fail(Fault::invalid,
                    "model_name: '{}' is no model here, and it names no repository: Lemonade's own "
                    "list of models is not kept here; send \"checkpoint\": \"owner/name:variant\" "
                    "with it",
                    ask.model);
    }
    return pulling;
}

/// Whether what is asked for is here already. **Errors:** invalid: the name is another model's.
Result<bool> is_here(const Desk& desk, const Call& call, const lemonade::PullAsk& ask) {
    const auto found = meant(desk, call.visit, ask.model);
    if (const auto card = found ? model_called(desk, found->name) : std::nullopt) {
        const Shelf shelf(desk);
        if (ask.checkpoint.empty() || shelf.is_of(card->id, ask.checkpoint)) {
            return true;
        }
        if (found->name == ask.model) {
            return fail(Fault::invalid,
                        "model_name: '{}' is here and is not {}; delete it first, or choose "
                        "another name",
                        ask.model, ask.checkpoint);
        }
    }
    TRILANE_TRY_STATUS(check_free(desk, ask.model));
    return false;
}

void begin_pull(Desk& desk, Call call, lemonade::PullAsk ask) {
    const auto here = is_here(desk, call, ask);
    if (!here) {
        desk.refuse(call, here.error());
        return;
    }
    if (*here) {
        std::make_shared<PullWatch>(desk, std::move(call), std::move(ask))->end_at_once();
        return;
    }
    auto pulling = pulling_of(ask);
    if (!pulling) {
        desk.refuse(call, pulling.error());
        return;
    }
    if (ask.stream && !ask.subscribe) {
        const auto begun = desk.downloads().start(*desk.library(), ask.model, *std::move(pulling));
        if (!begun) {
            desk.refuse(call, begun.error());
            return;
        }
        desk.respond_json(call, lemonade::download_body(*begun));
        return;
    }
    // cppcheck-suppress accessMoved ; the branch above that moves them has returned
    std::make_shared<PullWatch>(desk, std::move(call), std::move(ask))->begin(*std::move(pulling));
}

using Told = std::function<void(const Status&)>;

Told told_of_deletion(Desk& desk, Call call, const std::string& name) {
    return [&desk, name, shared = std::make_shared<Call>(std::move(call))](const Status& status) {
        if (!status) {
            desk.refuse_by_library(*shared, status.error());
            return;
        }
        desk.respond_json(*shared,
                          lemonade::success_body(fmt::format("Deleted model: {}", name), name));
    };
}

void delete_model(Desk& desk, Call call, const std::string& name) {
    const auto meaning =
        meant(desk, call.visit, name).map([](const Meant& found) { return found.card; });
    delete_called(desk, "model_name", name, meaning, told_of_deletion(desk, std::move(call), name));
}

}  // namespace

void pull(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        auto ask = lemonade::read_pull_ask(whole.request.body);
        if (!ask) {
            desk.refuse(whole, ask.error());
        } else if (keeps_models(desk, whole)) {
            begin_pull(desk, std::move(whole), *std::move(ask));
        }
    });
}

void remove(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        const auto name = lemonade::read_model_name(whole.request.body);
        if (!name) {
            desk.refuse(whole, name.error());
        } else if (keeps_models(desk, whole)) {
            delete_model(desk, std::move(whole), *name);
        }
    });
}

void list_variants(Desk& desk, Call call) {
    const std::string checkpoint = query_text(call.request.target, "checkpoint");
    if (checkpoint.find('/') == std::string::npos) {
        desk.refuse(call,
                    Error{Fault::invalid, fmt::format("checkpoint: got \"{}\"; send a repository: "
                                                      "?checkpoint=owner/name",
                                                      utf8_clipped(checkpoint, 64))});
        return;
    }
    if (!keeps_models(desk, call)) {
        return;
    }
    desk.library()->variants(
        checkpoint, [&desk, checkpoint, shared = std::make_shared<Call>(std::move(call))](
                        const Result<std::vector<catalog::Variant>>& variants) {
            if (!variants) {
                desk.refuse(*shared, variants.error());
                return;
            }
            std::vector<lemonade::Choice> choices;
            std::vector<std::string> projectors;
            for (const catalog::Variant& variant : *variants) {
                lemonade::Choice& one = choices.emplace_back();
                one.name = variant.name;
                for (const catalog::RemoteFile& file : variant.files) {
                    one.files.push_back(file.path);
                    one.bytes += file.bytes;
                }
                for (const catalog::RemoteFile& file : variant.companions) {
                    if (std::ranges::find(projectors, file.path) == projectors.end()) {
                        projectors.push_back(file.path);
                    }
                }
            }
            desk.respond_json(*shared, lemonade::variants_body(checkpoint, choices, projectors));
        });
}

void list_downloads(Desk& desk, Call call) {
    desk.respond_json(call, lemonade::downloads_body(desk.downloads().list()));
}

void control_download(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        const auto ask = lemonade::read_download_ask(whole.request.body);
        if (!ask) {
            desk.refuse(whole, ask.error());
            return;
        }
        if (ask->action == lemonade::DownloadAction::remove) {
            const bool was_there = desk.downloads().remove(ask->id);
            desk.respond_json(
                whole, was_there ? R"({"status":"ok"})" : R"({"status":"ok","missing":true})");
            return;
        }
        const bool pause = ask->action == lemonade::DownloadAction::pause;
        const auto stopped = desk.downloads().stop(ask->id, pause ? "paused" : "cancelled");
        if (!stopped) {
            desk.refuse(whole, stopped.error());
            return;
        }
        desk.respond_json(whole, lemonade::download_body(*stopped));
    });
}

}  // namespace trilane::gateway::lemonade_api
