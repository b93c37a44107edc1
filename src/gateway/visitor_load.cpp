#include "gateway/visitor_load.h"

#include <algorithm>

#include "lane/state.h"

namespace trilane::gateway {
namespace {

bool is_here_or_coming(const plane::View& view, std::string_view id) {
    const auto counts = [&](const plane::Residency& one) {
        return one.model == id && one.state != lane::State::offline &&
               one.state != lane::State::unloading && one.state != lane::State::failed;
    };
    return std::ranges::any_of(view.lanes, [&](const plane::LaneView& lane) {
        return std::ranges::any_of(lane.residents, counts);
    });
}

}  // namespace

Result<std::optional<std::uint32_t>> context_ordered(const access::Visit& visit,
                                                     const plane::View& view, std::string_view id,
                                                     std::string_view field,
                                                     std::optional<std::uint32_t> asked) {
    if (!asked || visit.is_admin()) {
        return asked;
    }
    if (is_here_or_coming(view, id)) {
        return std::optional<std::uint32_t>();
    }
    if (*asked < kVisitorContextMin) {
        return fail(Fault::invalid,
                    "{}: got {}; send {} or more: only administrators have a model loaded with "
                    "less",
                    field, *asked, kVisitorContextMin);
    }
    return asked;
}

}  // namespace trilane::gateway
