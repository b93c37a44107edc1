// Lemonade's errors, its answers to what was done, and the events of a pull.
#include "dialect/lemonade/lemonade.h"
#include "json/json.h"

namespace trilane::dialect::lemonade {
namespace {

using json::Value;

Value error_object(std::string_view type, std::string_view code, std::string_view message) {
    return {{"status", "error"},
            {"message", message},
            {"error", {{"message", message}, {"type", type}, {"code", code}}}};
}

std::string_view code_of_fault(Fault fault) {
    switch (fault) {
        case Fault::invalid:
            return "invalid_request";
        case Fault::not_found:
            return "model_not_found";
        case Fault::exhausted:
            return "rate_limit_exceeded";
        case Fault::unavailable:
            return "unavailable";
        case Fault::timeout:
            return "timeout";
        case Fault::cancelled:
            return "cancelled";
        case Fault::corrupt:
        case Fault::internal:
            break;
    }
    return fault_name(fault);
}

std::string_view code_of_status(unsigned status) {
    switch (status) {
        case 401:
            return "invalid_api_key";
        case 403:
            return "permission_denied";
        case 404:
            return "not_found";
        case 405:
            return "method_not_allowed";
        case 501:
            return "not_supported";
        case 503:
            return "unavailable";
        case 507:
            return kNoRoomCode;
        default:
            return status < 500 ? "invalid_request" : "internal_error";
    }
}

std::string event(std::string_view name, const Value& data) {
    return fmt::format("event: {}\ndata: {}\n\n", name, json::dump(data));
}

unsigned percent_of(const Progress& progress) {
    constexpr std::uint64_t kWhole = 100;
    return progress.total_bytes == 0
               ? 0
               : static_cast<unsigned>(static_cast<double>(progress.done_bytes) /
                                       static_cast<double>(progress.total_bytes) * kWhole);
}

Value download_json(const Download& download) {
    const Progress& at = download.progress;
    Value out = {{"id", download_id(download.model)},
                 {"type", "model"},
                 {"model_name", download.model},
                 {"status", download.status},
                 {"running", download.running},
                 {"file", at.file},
                 {"file_index", at.file_index},
                 {"total_files", at.files},
                 {"bytes_downloaded", at.done_bytes},
                 {"bytes_total", at.total_bytes},
                 {"total_download_size", at.total_bytes},
                 {"cumulative_bytes_downloaded", at.done_bytes},
                 {"overall_bytes_downloaded", at.done_bytes},
                 {"percent", download.status == "completed" ? 100U : percent_of(at)},
                 {"complete", download.status == "completed"}};
    if (!download.error.empty()) {
        out["error"] = download.error;
    }
    return out;
}

}  // namespace

std::string error_body(const Error& error) {
    const bool clients = error.fault == Fault::invalid || error.fault == Fault::not_found ||
                         error.fault == Fault::exhausted;
    return json::dump(error_object(clients ? "invalid_request_error" : "server_error",
                                   code_of_fault(error.fault), error.message));
}

std::string status_body(unsigned status, std::string_view message) {
    return json::dump(error_object(status < 500 ? "invalid_request_error" : "server_error",
                                   code_of_status(status), message));
}

Error no_such_model(std::string_view model, const Error& why) {
    if (why.fault != Fault::not_found) {
        return why;
    }
    return {Fault::not_found, fmt::format("Model not found: {}. {}", model, why.message)};
}

Error not_loaded(std::string_view model) {
    return {Fault::not_found,
            fmt::format("Model not loaded: {}. GET /v1/health lists what is in memory", model)};
}

std::string success_body(std::string_view message, std::string_view model,
                         std::span<const std::string> ignored) {
    Value out = {{"status", "success"}, {"message", message}};
    if (!model.empty()) {
        out["model_name"] = model;
    }
    if (!ignored.empty()) {
        out["ignored"] = Value(std::vector<std::string>(ignored.begin(), ignored.end()));
    }
    return json::dump(out);
}

std::string backend_body(const BackendAsk& ask, std::string_view message) {
    return json::dump({{"status", "success"},
                       {"recipe", ask.recipe},
                       {"backend", ask.backend},
                       {"message", message}});
}

std::string progress_event(const Progress& progress) {
    return event("progress", {{"file", progress.file},
                              {"file_index", progress.file_index},
                              {"total_files", progress.files},
                              {"bytes_downloaded", progress.done_bytes},
                              {"bytes_total", progress.total_bytes},
                              {"percent", percent_of(progress)}});
}

std::string complete_event(const Progress& last) {
    return event("complete",
                 {{"file_index", last.files}, {"total_files", last.files}, {"percent", 100U}});
}

std::string error_event(const Error& error, std::string_view code) {
    return event("error", {{"error", error.message},
                           {"code", code.empty() ? code_of_fault(error.fault) : code}});
}

std::string download_id(std::string_view model) {
    return fmt::format("model:{}", model);
}

std::string download_body(const Download& download) {
    return json::dump(download_json(download));
}

std::string downloads_body(std::span<const Download> downloads) {
    Value out = Value::array();
    for (const Download& one : downloads) {
        out.push_back(download_json(one));
    }
    return json::dump(out);
}

}  // namespace trilane::dialect::lemonade
