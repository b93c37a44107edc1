// Access: who this process is, and which device nodes it may use. Opens none of them: opening a
// device may wake it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "probe/tree.h"

namespace trilane::probe {

class Access {
public:
    explicit Access(const Tree& tree);

    /// Whether this process may read and write the device node. On this machine the kernel says so.
    /// In another tree device nodes are text files that hold what `ls -l` says of the real one,
    /// "crw-rw---- 1 root render 226, 128", and that is compared with the tree's user.
    [[nodiscard]] bool can_use(const std::string& node) const;
    /// Whether it may read a file that in another tree is taken to be root's alone.
    [[nodiscard]] bool can_read_root_file(const std::string& path) const;

    [[nodiscard]] const std::string& user() const { return user_; }
    /// Names of its groups; those without a name as numbers.
    [[nodiscard]] const std::vector<std::string>& groups() const { return groups_; }
    /// Its user ids are the machine's: not those of a user namespace.
    [[nodiscard]] bool has_real_ids() const { return has_real_ids_; }

private:
    Tree tree_;
    std::uint64_t uid_ = 0;
    std::string user_;
    std::vector<std::string> groups_;
    bool has_real_ids_ = true;
};

}  // namespace trilane::probe
