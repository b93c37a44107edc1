#include "net/answer.h"

#include <utility>

namespace trilane::net {

Answer::Answer(std::shared_ptr<Waker> waker, std::size_t pending_bytes_max)
    : waker_(std::move(waker)), pending_bytes_max_(pending_bytes_max) {}

void Answer::wake_locked() {
    if (watched_ && waker_) {
        watched_ = false;
        waker_->wake_soon();
    }
}

void Answer::respond(Response response) {
    const std::scoped_lock lock(mutex_);
    if (stage_ != Stage::waiting || !waker_) {
        return;
    }
    stage_ = Stage::ended;
    output_.whole = std::move(response);
    output_.ended = true;
    wake_locked();
}

void Answer::start_stream(StreamHead head) {
    const std::scoped_lock lock(mutex_);
    if (stage_ != Stage::waiting || !waker_) {
        return;
    }
    stage_ = Stage::streaming;
    output_.head = std::move(head);
    wake_locked();
}

bool Answer::send(std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    if (stage_ != Stage::streaming || !waker_) {
        return false;
    }
    // A piece that is longer than all of the room (a picture) may wait alone.
    if (!output_.bytes.empty() && output_.bytes.size() + bytes.size() > pending_bytes_max_) {
        stage_ = Stage::ended;
        output_.bytes.clear();
        output_.broken = true;
        wake_locked();
        return false;
    }
    output_.bytes.append(bytes);
    wake_locked();
    return true;
}

void Answer::finish() {
    const std::scoped_lock lock(mutex_);
    if (stage_ != Stage::streaming) {
        return;
    }
    stage_ = Stage::ended;
    output_.ended = true;
    wake_locked();
}

void Answer::become_web_socket(SocketWish wish) {
    {
        const std::scoped_lock lock(mutex_);
        if (stage_ == Stage::waiting && waker_) {
            stage_ = Stage::ended;
            output_.socket = std::move(wish);
            output_.ended = true;
            wake_locked();
            return;
        }
    }
    wish.listener->on_close();
}

void Answer::abandon() {
    const std::scoped_lock lock(mutex_);
    if (stage_ == Stage::ended) {
        return;
    }
    stage_ = Stage::ended;
    output_.broken = true;
    wake_locked();
}

void Answer::on_gone(std::function<void()> callback) {
    {
        const std::scoped_lock lock(mutex_);
        if (!gone_) {
            if (waker_) {
                gone_callback_ = std::move(callback);
            }
            return;
        }
    }
    callback();
}

Output Answer::look() {
    const std::scoped_lock lock(mutex_);
    Output taken = std::exchange(output_, {});
    watched_ = taken.empty();
    return taken;
}

void Answer::detach() {
    std::function<void()> callback;
    std::optional<SocketWish> wish;
    bool call = false;
    {
        const std::scoped_lock lock(mutex_);
        if (!waker_) {
            return;
        }
        waker_.reset();
        // An answer that was taken whole is complete for its sender, whatever the client then does.
        call = stage_ != Stage::ended;
        gone_ = call;
        stage_ = Stage::ended;
        wish = std::move(output_.socket);
        output_ = {};
        callback = std::move(gone_callback_);
        gone_callback_ = nullptr;
    }
    if (call && callback) {
        callback();
    }
    if (wish) {
        wish->listener->on_close();
    }
}

}  // namespace trilane::net
