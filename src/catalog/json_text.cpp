#include "catalog/json_text.h"

#include "json/json.h"

namespace trilane::catalog {

std::string text_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    const auto* text = found != object.end() ? found->get_ptr<const std::string*>() : nullptr;
    return text != nullptr ? *text : std::string();
}

}  // namespace trilane::catalog
