// The Lemonade dialect: what Lemonade's clients ask beyond OpenAI's API (bodies of /v1/load, /pull
// and the like), its errors, and the events of a pull. What tells of models and machines is in
// listings.h. Pure translation: no sockets, no lanes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"

namespace trilane::dialect::lemonade {

/// The version of Lemonade's API that is spoken here: clients refuse servers that are older than
/// what they were made for.
inline constexpr std::string_view kApiVersion = "11.7.0";

inline constexpr std::size_t kNameBytesMax = 512;
inline constexpr std::uint32_t kContextTokensMax = 1U << 22U;

// All readers: **Errors:** invalid, naming the field. A model may be called "model_name" or
// "model".

/// Of delete, and of what else is about one model.
Result<std::string> read_model_name(std::string_view body);

/// Of unload: "" = all models. A body that is empty or no object at all means all, too.
Result<std::string> read_unload_ask(std::string_view body);

/// Silicon that a load's options name.
enum class Backend { any, cpu, gpu, npu };

struct LoadAsk {
    std::string model;
    std::optional<std::uint32_t> context_tokens;  ///< absent = as the lane decides
    Backend backend = Backend::any;
    std::string backend_field;  ///< the option that named it, with its value, for messages
    std::optional<bool> pinned;
    std::vector<std::string> ignored;  ///< options sent that change nothing here, each with why
};
Result<LoadAsk> read_load_ask(std::string_view body);

struct PullAsk {
    std::string model;       ///< as it will be asked for
    std::string checkpoint;  ///< "owner/name:variant" of a hub; "" = the name says it
    bool stream = false;
    bool subscribe = true;  ///< false: goes on by itself, and is followed by its list
    std::vector<std::string> ignored;
};
Result<PullAsk> read_pull_ask(std::string_view body);

/// Of install and uninstall: {"recipe","backend"}, or {"spec": "recipe:backend"}.
struct BackendAsk {
    std::string recipe;
    std::string backend;  ///< "" = whichever the recipe prefers
    bool stream = false;
};
Result<BackendAsk> read_backend_ask(std::string_view body);

enum class DownloadAction { pause, cancel, remove };
struct DownloadAsk {
    std::string id;
    DownloadAction action = DownloadAction::pause;
};
Result<DownloadAsk> read_download_ask(std::string_view body);

// Answers of what was done.

/// {"status":"success","message":…,"model_name":…}, and what was ignored, when anything was.
std::string success_body(std::string_view message, std::string_view model = "",
                         std::span<const std::string> ignored = {});
std::string backend_body(const BackendAsk& ask, std::string_view message);

/// How far a pull is. `total` 0 = not known yet.
struct Progress {
    std::string file;
    std::uint32_t file_index = 0;  ///< counts from 1; 0 = none yet
    std::uint32_t files = 0;
    std::uint64_t done_bytes = 0;
    std::uint64_t total_bytes = 0;
};
/// Events of a stream, each with its blank line.
std::string progress_event(const Progress& progress);
std::string complete_event(const Progress& last);
/// `code` in place of the fault's own, unless it is empty.
std::string error_event(const Error& error, std::string_view code = {});
/// Of what the models folder has no room for.
inline constexpr std::string_view kNoRoomCode = "insufficient_storage";

/// A pull that goes on by itself, or has ended.
struct Download {
    std::string model;
    std::string status;  ///< "downloading", "paused", "cancelled", "completed", "error"
    bool running = false;
    Progress progress;
    std::string error;  ///< "" = none
};
/// What it is called in lists.
std::string download_id(std::string_view model);
std::string download_body(const Download& download);
std::string downloads_body(std::span<const Download> downloads);

// Errors: OpenAI's object under "error", and beside it "status" and "message", which is where some
// of Lemonade's clients look.

std::string error_body(const Error& error);
std::string status_body(unsigned status, std::string_view message);
inline constexpr ErrorShape kErrorShape{error_body, status_body};

/// not_found, in words that clients look for before they pull what is missing.
Error no_such_model(std::string_view model, const Error& why);
/// not_found, in words by which clients see that there was nothing to unload.
Error not_loaded(std::string_view model);

}  // namespace trilane::dialect::lemonade
