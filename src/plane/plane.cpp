#include "plane/plane.h"

#include "plane/core.h"

namespace trilane::plane {

Plane::Plane(PlaneOptions options, std::vector<std::shared_ptr<lane::Lane>> lanes)
    : core_(std::make_shared<Core>(std::move(options), std::move(lanes))) {
    core_->start();
}
Plane::~Plane() {
    core_->stop(0);
}

std::vector<job::ModelCard> Plane::models() const {
    std::vector<job::ModelCard> cards;
    for (const Model& model : core_->table()->models()) {
        cards.push_back(core_->card_of(model));
    }
    return cards;
}

Result<job::ModelCard> Plane::find(std::string_view name) const {
    const auto table = core_->table();
    TRILANE_TRY(const Meaning meaning, table->find(name));
    return core_->card_of(*meaning.model);
}

Line Plane::line_of(std::string_view model) const {
    return core_->line_of(model);
}
std::chrono::seconds Plane::next_try_in(std::string_view model) const {
    return core_->next_try_in(model);
}
void Plane::submit(job::Request request, job::EventSink sink, CancelToken cancel) {
    core_->submit(std::move(request), std::move(sink), cancel);
}
void Plane::notice_cancel() {
    core_->notice_cancel();
}
View Plane::view() const {
    return core_->view();
}
void Plane::load(LoadAsk ask, std::function<void(Status)> done) {
    core_->load(std::move(ask), std::move(done));
}
Status Plane::unload(std::string_view model) {
    return core_->unload(model);
}
Status Plane::keep(std::string_view model, std::optional<std::chrono::milliseconds> time) {
    return core_->keep(model, time);
}
Result<std::shared_ptr<os::LogRing>> Plane::log_of(std::string_view lane) const {
    return core_->log_of(lane);
}
void Plane::catalogue_changed() {
    core_->catalogue_changed();
}
void Plane::memory_changed() {
    core_->memory_changed();
}
void Plane::set_policies(Policies policies, LineLimits line) {
    core_->set_policies(std::move(policies), line);
}
void Plane::stop(std::uint32_t patience_ms) {
    core_->stop(patience_ms);
}

}  // namespace trilane::plane
