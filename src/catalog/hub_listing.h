// What a hub's answers say: the list of a repository's files, where its next page is, and which
// variants of a model those files are. No network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/pull.h"

namespace trilane::catalog {

inline constexpr std::size_t kRepositoryFilesMax = 20'000;

/// Appends the files of one page of a tree listing. **Errors:** corrupt: not such a list, or a file
/// with a dangerous name; invalid beyond kRepositoryFilesMax.
Status parse_tree(std::string_view json_text, std::vector<RemoteFile>& files);

/// The address with rel="next" in a Link header; "" = this was the last page.
std::string next_page(std::string_view link_header);

/// Groups files into variants, best quality first: shards together, projectors beside the models
/// they go with. Sets of shards with one missing are left out.
std::vector<Variant> group_variants(const std::vector<RemoteFile>& files);

/// The projector that goes best with a model: F16 before others, then the nearest name. Null when
/// there is none.
const RemoteFile* best_projector(const std::vector<RemoteFile>& projectors,
                                 std::string_view model_path);

}  // namespace trilane::catalog
