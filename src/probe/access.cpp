#include "probe/access.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

namespace trilane::probe {
namespace {

/// Names by id in a file of lines "name:x:id:…".
std::map<std::string, std::string, std::less<>> names_by_id(const std::string& text) {
    std::map<std::string, std::string, std::less<>> names;
    for (const std::string_view line : lines_of(text)) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
        if (second == line.npos) {
            continue;
        }
        const std::size_t third = std::min(line.find(':', second + 1), line.size());
        names.emplace(line.substr(second + 1, third - second - 1), line.substr(0, first));
    }
    return names;
}

/// /proc/self/status lists real, effective, saved and file system id.
std::string effective_id(const std::string& status, std::string_view key) {
    const std::string ids = value_of(status, key).value_or("");
    const auto words = words_of(ids);
    return words.size() > 1 ? std::string(words[1]) : std::string();
}

/// 0 → 0 for all ids, as it is outside user namespaces.
bool maps_to_itself(const Tree& tree) {
    const std::string map = tree.text("/proc/self/uid_map");
    const auto words = words_of(map);
    return words.size() != 3 || (words[0] == "0" && words[1] == "0" && words[2] == "4294967295");
}

}  // namespace

Access::Access(const Tree& tree) : tree_(tree) {
    const std::string status = tree.text("/proc/self/status");
    const std::string user_id = effective_id(status, "Uid");
    uid_ = leading_number(user_id).value_or(~std::uint64_t{0});
    const auto user_names = names_by_id(tree.text("/etc/passwd"));
    const auto named = user_names.find(user_id);
    user_ = named == user_names.end() ? "" : named->second;

    const auto group_names = names_by_id(tree.text("/etc/group"));
    const auto add = [&](std::string_view id) {
        const auto group = group_names.find(id);
        std::string name = group == group_names.end() ? std::string(id) : group->second;
        if (!name.empty() && std::find(groups_.begin(), groups_.end(), name) == groups_.end()) {
            groups_.push_back(std::move(name));
        }
    };
    add(effective_id(status, "Gid"));
    const std::string more = value_of(status, "Groups").value_or("");
    for (const std::string_view id : words_of(more)) {
        add(id);
    }
    has_real_ids_ = maps_to_itself(tree);
}

bool Access::can_use(const std::string& node) const {
    if (tree_.is_this_machine()) {
        return ::faccessat(AT_FDCWD, node.c_str(), R_OK | W_OK, AT_EACCESS) == 0;
    }
    const std::string listed = tree_.line(node).value_or("");
    const auto words = words_of(listed);
    constexpr std::size_t kModeLength = 10;
    if (words.size() < 4 || words[0].size() < kModeLength) {
        return false;
    }
    const std::string_view mode = words[0];
    const auto grants = [&](std::size_t at) { return mode[at] == 'r' && mode[at + 1] == 'w'; };
    if (uid_ == 0 && has_real_ids_) {
        return true;
    }
    if (words[2] == user_) {
        return grants(1);
    }
    if (std::find(groups_.begin(), groups_.end(), words[3]) != groups_.end()) {
        return grants(4);
    }
    return grants(7);
}

bool Access::can_read_root_file(const std::string& path) const {
    if (tree_.is_this_machine()) {
        return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
    }
    return tree_.exists(path) && uid_ == 0 && has_real_ids_;
}

}  // namespace trilane::probe
