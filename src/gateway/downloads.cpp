#include "gateway/downloads.h"

#include <algorithm>
#include <utility>

namespace trilane::gateway {

using dialect::lemonade::Download;
using dialect::lemonade::Progress;

Progress advanced(Progress at, const catalog::PullNews& news) {
    if (!news.file.empty() && news.file != at.file) {
        at.file = news.file;
        at.file_index += 1;
    }
    at.files = std::max(at.files, at.file_index);  // how many will come, nobody says beforehand
    at.total_bytes = news.total_bytes;
    at.done_bytes = news.done_bytes;
    return at;
}

Downloads::Job* Downloads::Table::find(std::string_view id) {
    const auto job = std::ranges::find_if(jobs, [&](const Job& one) {
        return dialect::lemonade::download_id(one.download.model) == id;
    });
    return job == jobs.end() ? nullptr : &*job;
}

Downloads::Job* Downloads::Table::find(std::size_t number) {
    const auto job = std::ranges::find(jobs, number, &Job::number);
    return job == jobs.end() ? nullptr : &*job;
}

catalog::PullListener Downloads::listener_of(const std::shared_ptr<Table>& table,
                                             std::size_t number) {
    catalog::PullListener listener;
    listener.on_news = [table, number](const catalog::PullNews& news) {
        const std::scoped_lock lock(table->mutex);
        if (Job* job = table->find(number); job != nullptr && job->download.running) {
            job->download.progress = advanced(std::move(job->download.progress), news);
        }
    };
    listener.on_end = [table, number](const Result<catalog::Entry>& entry) {
        std::unique_ptr<catalog::PullTicket> ticket;  // goes after the lock
        const std::scoped_lock lock(table->mutex);
        Job* job = table->find(number);
        if (job == nullptr || !job->download.running) {
            return;
        }
        ticket = std::move(job->ticket);
        Download& download = job->download;
        download.running = false;
        download.status = entry ? "completed" : "error";
        download.error = entry ? "" : entry.error().message;
        if (entry) {
            download.progress.done_bytes = download.progress.total_bytes;
        }
    };
    return listener;
}

/// With the mutex.
Status Downloads::make_room() {
    if (table_->jobs.size() < kMax) {
        return {};
    }
    const auto ended =
        std::ranges::find_if(table_->jobs, [](const Job& job) { return !job.download.running; });
    if (ended == table_->jobs.end()) {
        return fail(Fault::exhausted, "{} downloads are under way; wait for one to end", kMax);
    }
    table_->jobs.erase(ended);
    return {};
}

Result<Download> Downloads::start(catalog::Library& library, const std::string& model,
                                  catalog::PullAsk ask) {
    const std::scoped_lock lock(table_->mutex);
    if (const Job* job = table_->find(dialect::lemonade::download_id(model));
        job != nullptr && job->download.running) {
        return job->download;
    }
    TRILANE_TRY_STATUS(make_room());
    const std::size_t number = ++table_->begun;
    TRILANE_TRY(auto ticket, library.pull(std::move(ask), listener_of(table_, number)));
    std::erase_if(table_->jobs, [&](const Job& one) { return one.download.model == model; });
    Job& job = table_->jobs.emplace_back();
    job.number = number;
    job.download.model = model;
    job.download.status = "downloading";
    job.download.running = true;
    job.ticket = std::move(ticket);
    return job.download;
}

std::vector<Download> Downloads::list() const {
    const std::scoped_lock lock(table_->mutex);
    std::vector<Download> all;
    for (const Job& job : table_->jobs) {
        all.push_back(job.download);
    }
    return all;
}

Result<Download> Downloads::stop(std::string_view id, std::string_view status) {
    std::unique_ptr<catalog::PullTicket> ticket;  // goes after the lock
    const std::scoped_lock lock(table_->mutex);
    Job* job = table_->find(id);
    if (job == nullptr) {
        return fail(Fault::not_found, "there is no download '{}'; GET /v1/downloads lists them",
                    id);
    }
    if (job->download.status != "completed") {
        ticket = std::move(job->ticket);
        job->download.running = false;
        job->download.status = status;
    }
    return job->download;
}

bool Downloads::remove(std::string_view id) {
    std::unique_ptr<catalog::PullTicket> ticket;  // goes after the lock
    const std::scoped_lock lock(table_->mutex);
    Job* job = table_->find(id);
    if (job == nullptr) {
        return false;
    }
    ticket = std::move(job->ticket);
    table_->jobs.erase(table_->jobs.begin() + (job - table_->jobs.data()));
    return true;
}

}  // namespace trilane::gateway
