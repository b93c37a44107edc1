// TestFolder: a new folder for one test, gone with it. Writes files and programs into it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace trilane::lane::rig {

class TestFolder {
public:
    TestFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "trilane-lane-XXXXXX").string();
        path_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    }
    ~TestFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

    /// Writes a file, with the folders above it; its path.
    std::string write(std::string_view name, std::string_view text) const {
        const std::filesystem::path file = std::filesystem::path(path_) / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file.string();
    }
    /// What a file holds; "" when there is none.
    [[nodiscard]] std::string read(std::string_view name) const {
        std::ifstream file(std::filesystem::path(path_) / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    /// Writes a shell script that can be run; its path.
    std::string write_program(std::string_view name, std::string_view script) const {
        std::string file = write(name, "#!/bin/sh\n" + std::string(script));
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
        return file;
    }

private:
    std::string path_;
};

}  // namespace trilane::lane::rig
