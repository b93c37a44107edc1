// Any bytes as a body of Lemonade's own endpoints: what is refused is refused as Fault::invalid,
// and whatever is answered about what was read is JSON.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "dialect/lemonade/lemonade.h"
#include "dialect/lemonade/listings.h"
#include "json/json.h"

namespace {

using namespace trilane;
using namespace trilane::dialect;

void require_json(std::string_view text) {
    TRILANE_CHECK(json::parse(text).has_value());
}

template <class Ask>
bool taken(const Result<Ask>& ask) {
    TRILANE_CHECK(ask || ask.error().fault == Fault::invalid);
    if (!ask) {
        require_json(lemonade::error_body(ask.error()));
    }
    return ask.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    if (const auto name = lemonade::read_model_name(body); taken(name)) {
        require_json(lemonade::success_body("done", *name));
    }
    taken(lemonade::read_unload_ask(body));
    if (const auto load = lemonade::read_load_ask(body); taken(load)) {
        require_json(lemonade::success_body("done", load->model, load->ignored));
        lemonade::Offered offered;
        offered.name = load->model;
        require_json(lemonade::model_body(offered));
        require_json(lemonade::options_body(offered));
    }
    if (const auto pull = lemonade::read_pull_ask(body); taken(pull)) {
        lemonade::Download download;
        download.model = pull->model;
        download.error = pull->checkpoint;
        require_json(lemonade::download_body(download));
    }
    if (const auto backend = lemonade::read_backend_ask(body); taken(backend)) {
        require_json(lemonade::backend_body(*backend, "done"));
    }
    taken(lemonade::read_download_ask(body));
    return 0;
}
