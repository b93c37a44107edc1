// A body that may be JSON or a form: its fields as one JSON object, its files beside. Private to
// this dialect.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/multipart.h"
#include "job/chat.h"
#include "json/json.h"

namespace trilane::dialect::openai {

struct Form {
    /// Numbers and truths of a form, which are texts there, are numbers and truths here. "name[]"
    /// and a name that comes twice are arrays.
    json::Value fields = json::Value::object();
    std::vector<FormPart> files;
};

/// **Errors:** invalid. `body` must outlive the files.
Result<Form> read_form(std::string_view content_type, std::string_view body);

/// A file of the form as media: its bytes, copied, and its type as the client said it.
job::Media media_of_file(job::Media::Kind kind, const FormPart& file);

}  // namespace trilane::dialect::openai
