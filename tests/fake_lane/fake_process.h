// FakeProcess: a started trilane-fake-lane, for tests. Waits are bounded; the process never
// outlives the object.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trilane::fake_lane {

class FakeProcess {
public:
    static constexpr int kPatienceMs = 30'000;

    /// Starts `program ARGS… --fake SCRIPT`, with nothing but `environment` ("NAME=value").
    FakeProcess(std::string program, std::vector<std::string> arguments, std::string script = "",
                std::vector<std::string> environment = {}) {
        arguments.insert(arguments.begin(), std::move(program));
        if (!script.empty()) {
            arguments.insert(arguments.end(), {"--fake", std::move(script)});
        }
        int out[2];
        int err[2];
        if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
            std::abort();
        }
        std::vector<char*> argv = pointers(arguments);
        std::vector<char*> env = pointers(environment);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(err[1], STDERR_FILENO);
            ::execve(argv[0], argv.data(), env.data());
            ::_exit(127);
        }
        ::close(out[1]);
        ::close(err[1]);
        out_ = out[0];
        err_ = err[0];
    }
    ~FakeProcess() {
        if (!reaped_) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        ::close(out_);
        ::close(err_);
    }
    FakeProcess(const FakeProcess&) = delete;
    FakeProcess& operator=(const FakeProcess&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }

    /// The port it prints when it was given --port 0; 0 when it ends without.
    std::uint16_t port() {
        static constexpr std::string_view kWord = "port ";
        while (port_ == 0) {
            const std::size_t at = printed_.find(kWord);
            if (at != std::string::npos && printed_.find('\n', at) != std::string::npos) {
                port_ = static_cast<std::uint16_t>(std::atoi(printed_.c_str() + at + kWord.size()));
            } else if (!more(out_, printed_)) {
                break;
            }
        }
        return port_;
    }

    /// What it has written to standard output up to its end.
    const std::string& output() {
        while (more(out_, printed_)) {
        }
        return printed_;
    }
    const std::string& errors() {
        while (more(err_, complained_)) {
        }
        return complained_;
    }
    /// Waits until it has written `text` to standard error.
    bool complains(std::string_view text) {
        while (complained_.find(text) == std::string::npos) {
            if (!more(err_, complained_)) {
                return false;
            }
        }
        return true;
    }

    /// Waits for its end: the exit code, or 1000 + the signal that ended it; -1 = it goes on.
    int end() {
        // The pipe's end comes with the process's.
        output();
        errors();
        int status = 0;
        if (!closed_ || ::waitpid(pid_, &status, 0) != pid_) {
            return -1;
        }
        reaped_ = true;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

private:
    static std::vector<char*> pointers(std::vector<std::string>& texts) {
        std::vector<char*> all;
        for (std::string& text : texts) {
            all.push_back(text.data());
        }
        all.push_back(nullptr);
        return all;
    }

    bool more(int pipe, std::string& text) {
        pollfd waiting{pipe, POLLIN, 0};
        char buffer[4096];
        if (::poll(&waiting, 1, kPatienceMs) <= 0) {
            closed_ = false;
            return false;
        }
        const ssize_t bytes = ::read(pipe, buffer, sizeof buffer);
        if (bytes <= 0) {
            return false;
        }
        text.append(buffer, static_cast<std::size_t>(bytes));
        return true;
    }

    pid_t pid_ = -1;
    int out_ = -1;
    int err_ = -1;
    std::uint16_t port_ = 0;
    bool closed_ = true;
    bool reaped_ = false;
    std::string printed_;
    std::string complained_;
};

}  // namespace trilane::fake_lane
