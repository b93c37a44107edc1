// The line editor at a real terminal: a pseudo-terminal with the test as the person.
#include "app/line_editor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "app/interrupt.h"

namespace trilane::app {
namespace {

constexpr int kPatienceMs = 30'000;

/// A child that echoes each line it reads as "<line>", then "<end>".
class Typist {
public:
    explicit Typist(const std::string& history_path) {
        pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
        if (pid_ == 0) {
            ::setenv("TERM", "xterm", 1);
            const InterruptWatch watch;
            LineEditor editor("> ", history_path);
            while (const auto line = editor.read_line()) {
                std::printf("<%s>\n", line->c_str());
            }
            std::printf("<end>\n");
            std::fflush(stdout);
            ::_exit(0);
        }
    }
    ~Typist() {
        ::close(terminal_);
        ::waitpid(pid_, nullptr, 0);
    }
    Typist(const Typist&) = delete;
    Typist& operator=(const Typist&) = delete;

    void type(std::string_view keys) const {
        ASSERT_EQ(::write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }

    /// Whether the child writes `text`, after what was awaited before.
    bool sees(std::string_view text) {
        while (true) {
            if (const std::size_t at = seen_.find(text); at != std::string::npos) {
                seen_.erase(0, at + text.size());
                return true;
            }
            pollfd ready{terminal_, POLLIN, 0};
            std::array<char, 512> piece{};
            if (::poll(&ready, 1, kPatienceMs) <= 0) {
                return false;
            }
            const ssize_t got = ::read(terminal_, piece.data(), piece.size());
            if (got <= 0) {
                return false;
            }
            seen_.append(piece.data(), static_cast<std::size_t>(got));
        }
    }

    /// Whether the prompt comes and keys are taken one by one; between the two, Ctrl-C is still a
    /// signal.
    bool sees_prompt() {
        const auto deadline =
            std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
        bool ready = sees("> ");
        for (termios modes{}; ready; std::this_thread::yield()) {
            ready =
                ::tcgetattr(terminal_, &modes) == 0 && std::chrono::steady_clock::now() < deadline;
            if ((modes.c_lflag & ICANON) == 0) {
                break;
            }
        }
        return ready;
    }

    [[nodiscard]] int pid() const { return pid_; }

private:
    int terminal_ = -1;
    pid_t pid_ = -1;
    std::string seen_;
};

class LineEditorTest : public ::testing::Test {
protected:
    LineEditorTest()
        : dir_(::testing::TempDir() + "trilane_line_editor_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
        std::filesystem::remove_all(dir_);
    }
    ~LineEditorTest() override { std::filesystem::remove_all(dir_); }
    [[nodiscard]] std::string history() const { return dir_ + "/state/history"; }
    std::string dir_;
};

TEST_F(LineEditorTest, ReadsLinesUntilCtrlD) {
    Typist typist(history());
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("hello é\r");
    EXPECT_TRUE(typist.sees("<hello é>"));
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("\x04");
    EXPECT_TRUE(typist.sees("<end>"));
}

TEST_F(LineEditorTest, CtrlCDropsTheLineAndGoesOn) {
    Typist typist(history());
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("half é");
    ASSERT_TRUE(typist.sees("é"));
    typist.type("\x03");
    EXPECT_TRUE(typist.sees("<>"));
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("whole\r");
    EXPECT_TRUE(typist.sees("<whole>"));
}

TEST_F(LineEditorTest, ASignalIsNoEnd) {
    Typist typist(history());
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("x");
    ASSERT_TRUE(typist.sees("x"));
    ::kill(typist.pid(), SIGINT);
    typist.type("\x15\rstill here\r");
    EXPECT_TRUE(typist.sees("<still here>"));
}

TEST_F(LineEditorTest, HistoryOutlivesTheProgramAndIsPrivate) {
    {
        Typist typist(history());
        ASSERT_TRUE(typist.sees_prompt());
        typist.type("remember me\r");
        ASSERT_TRUE(typist.sees("<remember me>"));
        ASSERT_TRUE(typist.sees_prompt());
        typist.type("\x04");
        ASSERT_TRUE(typist.sees("<end>"));
    }
    struct stat facts {};
    ASSERT_EQ(::stat(history().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    Typist typist(history());
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("\x10\r");  // Ctrl-P: the line before
    EXPECT_TRUE(typist.sees("<remember me>"));
}

TEST_F(LineEditorTest, WorksWithoutAHistory) {
    Typist typist("");
    ASSERT_TRUE(typist.sees_prompt());
    typist.type("line\r");
    EXPECT_TRUE(typist.sees("<line>"));
}

}  // namespace
}  // namespace trilane::app
