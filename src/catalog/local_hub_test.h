// LocalHub: a hub that speaks the Hugging Face API on this machine's loopback, and the CDN it sends
// its clients to, with faults on demand. For the tests of pull.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "catalog/pull.h"
#include "net/server.h"

namespace trilane::catalog {

/// What tests put there and pull.
inline const std::string kRepository = "owner/Tiny-GGUF";

/// A request as it arrived.
struct SeenRequest {
    bool at_cdn = false;
    std::string target;
    std::string authorization;
    std::string range;
};

/// What goes wrong with one answer that carries a file's bytes (or, with a status, with any
/// answer).
struct HubFault {
    unsigned status = 0;  ///< answer this instead
    std::vector<net::Header> headers{};
    std::optional<std::size_t> bytes{};  ///< send so many, then
    bool hold = false;          ///< keep the connection and send nothing more, else break it
    bool damage = false;        ///< send other bytes than the file's
    bool ignore_range = false;  ///< send the whole file with 200
    bool shift = false;         ///< send another range than was asked for
};

class LocalHub {
public:
    LocalHub();
    ~LocalHub();
    LocalHub(const LocalHub&) = delete;
    LocalHub& operator=(const LocalHub&) = delete;

    /// A hub's options for quick tests: short pauses, small pieces.
    [[nodiscard]] Hub options() const;
    [[nodiscard]] std::string endpoint() const;

    void put(const std::string& repository, const std::string& path, std::string bytes,
             bool lfs = true);
    /// Replaces the JSON that the listing of a repository is made of.
    void put_listing(const std::string& repository, std::string json);

    /// The next answers with bytes of a file, in order, go wrong like this.
    void fail_next(std::vector<HubFault> faults);
    void fail_next_listing(std::vector<HubFault> faults);
    /// Ends what is held: its connections break.
    void let_go();

    // How the hub behaves; set before requests come.
    bool redirects = false;  ///< files come from the CDN
    bool ranges = true;      ///< Range is honoured
    bool tells_linked_etag = true;
    std::size_t page_files = 1000;
    std::string token;         ///< that is asked for; "" = none
    std::string refusal_code;  ///< X-Error-Code of a refusal
    bool etag_varies = false;  ///< a fresh tag with every answer
    std::string etag = "one";  ///< of files without LFS

    [[nodiscard]] std::vector<SeenRequest> seen();
    [[nodiscard]] std::size_t file_requests();
    void forget_seen();
    /// Waits until so many requests for files have come. False after a long time.
    bool wait_for_file_requests(std::size_t count);

private:
    struct File {
        std::string bytes;
        bool lfs = true;
    };
    using Files = std::map<std::string, File>;

    void answer(bool at_cdn, const net::Request& request,
                const std::shared_ptr<net::Exchange>& exchange);
    net::Response list(const std::string& repository, const std::string& target);
    net::Response redirect(const std::string& repository, const std::string& path);
    void send_file(const net::Request& request, const std::shared_ptr<net::Exchange>& exchange,
                   const File& file);
    static std::optional<HubFault> take(std::deque<HubFault>& faults);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Files> repositories_;
    std::map<std::string, std::string> listings_;
    std::deque<HubFault> file_faults_;
    std::deque<HubFault> listing_faults_;
    std::vector<SeenRequest> seen_;
    std::size_t file_requests_ = 0;
    std::vector<std::shared_ptr<net::Exchange>> held_;
    std::unique_ptr<net::Server> hub_;
    std::unique_ptr<net::Server> cdn_;
};

/// SHA-256 in hexadecimal.
std::string sha256_hex(const std::string& bytes);

/// A small GGUF file with a tensor of about so many bytes. Other seeds, other bytes.
std::string gguf_bytes(std::size_t bytes, unsigned seed = 1,
                       const std::string& architecture = "llama");

/// A folder of its own that goes with the object.
class TempFolder {
public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + '/' + name; }
    /// Writes a file, making the folders above it.
    std::string write(const std::string& name, const std::string& bytes) const;
    /// Every file below, relative, sorted; links are not followed.
    [[nodiscard]] std::vector<std::string> files() const;

private:
    std::string path_;
};

std::string file_text(const std::string& path);

}  // namespace trilane::catalog
