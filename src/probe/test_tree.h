// TestTree: a made-up root folder for tests, removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace trilane::probe {

class TestTree : public ::testing::Test {
protected:
    void SetUp() override {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        root_ = std::filesystem::temp_directory_path() /
                ("trilane_probe_" + std::to_string(::getpid()) + "_" + test->name());
        std::filesystem::create_directories(root_);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    void link(const std::string& path, const std::string& target) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::filesystem::create_symlink(target, root_ / path);
    }
    /// A program for the shell; returns its path.
    std::string script(const std::string& name, const std::string& text) {
        write(name, "#!/bin/sh\n" + text);
        std::filesystem::permissions(root_ / name, std::filesystem::perms::owner_all);
        return (root_ / name).string();
    }

    std::filesystem::path root_;
};

}  // namespace trilane::probe
