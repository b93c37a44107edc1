// Form: a body of multipart/form-data (RFC 7578), as web pages upload files.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trilane::lane::upstream {

class Form {
public:
    void add(std::string_view name, std::string_view value);
    /// What would break a header is left out of `file_name` and `type`.
    void add_file(std::string_view name, std::string_view file_name, std::string_view type,
                  std::string_view bytes);

    struct Finished {
        std::string content_type;
        std::string body;
    };
    [[nodiscard]] Finished finish() const;

private:
    std::vector<std::pair<std::string, std::string>> parts_;  // head, value
};

}  // namespace trilane::lane::upstream
