# trilane_module(<name> FLOOR <n> [SOURCES ...] [TESTS ...] [DEPS ...] [LIBS ...] [TEST_LIBS ...])
#
# One static library per folder of src/. DEPS are other modules and must stand on a strictly lower
# floor: anything else fails here, at configure time (scripts/lint_layers.py checks the includes).
# LIBS are system libraries that stay private to the module. TESTS become one GoogleTest program,
# trilane_<name>_test, registered with CTest under the module's name; TEST_LIBS are extra modules
# that only those tests need.
set(TRILANE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror=return-type)

# Most of a file's compile time is its headers and the templates they instantiate, so several files
# of a target are compiled as one where nobody waits for a single file (TRILANE_UNITY). CMake leaves
# out files with compile options of their own, such as the kernels. The size is a compromise: larger
# batches save little more, but need more memory and leave cores idle at the end.
set(TRILANE_UNITY_BATCH 8 CACHE STRING "Files compiled as one with TRILANE_UNITY; 0: all of a target")

# Several sources in one file look like headers to GCC's warning about types of anonymous namespaces
# in headers; a build without TRILANE_UNITY still warns.
function(trilane_unity target)
  if(TRILANE_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
  set_target_properties(${target} PROPERTIES
    UNITY_BUILD ${TRILANE_UNITY} UNITY_BUILD_BATCH_SIZE ${TRILANE_UNITY_BATCH})
endfunction()

# What every test includes, compiled once. Tests are optimised less: they are built more often than
# they are run.
set(TRILANE_TEST_OPTIONS ${TRILANE_WARNINGS} -O1)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cpp CONTENT "\n")
add_library(trilane_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cpp)
target_compile_options(trilane_test_headers PRIVATE ${TRILANE_TEST_OPTIONS})
target_compile_definitions(trilane_test_headers PRIVATE TRILANE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(trilane_test_headers PRIVATE
  fmt::fmt Threads::Threads nlohmann_json::nlohmann_json GTest::gtest GTest::gtest_main
  GTest::gmock)
target_precompile_headers(trilane_test_headers PRIVATE
  <algorithm> <array> <atomic> <chrono> <condition_variable> <functional> <map> <memory> <mutex>
  <optional> <span> <string> <string_view> <thread> <utility> <variant> <vector>
  <fmt/format.h> <tl/expected.hpp> <nlohmann/json.hpp> <gmock/gmock.h> <gtest/gtest.h>)

function(trilane_module name)
  cmake_parse_arguments(M "" "FLOOR" "SOURCES;TESTS;DEPS;LIBS;TEST_LIBS" ${ARGN})
  add_library(trilane_${name} STATIC ${M_SOURCES})
  add_library(trilane::${name} ALIAS trilane_${name})
  trilane_unity(trilane_${name})
  set_property(GLOBAL PROPERTY TRILANE_FLOOR_${name} ${M_FLOOR})
  target_include_directories(trilane_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(trilane_${name} PRIVATE ${TRILANE_WARNINGS})
  target_link_libraries(trilane_${name} PUBLIC fmt::fmt Threads::Threads PRIVATE ${M_LIBS})
  foreach(dep IN LISTS M_DEPS)
    get_property(dep_floor GLOBAL PROPERTY TRILANE_FLOOR_${dep})
    if(NOT DEFINED dep_floor OR NOT dep_floor LESS M_FLOOR)
      message(FATAL_ERROR
        "floor violation: ${name} (floor ${M_FLOOR}) may not depend on ${dep} (floor ${dep_floor})")
    endif()
    target_link_libraries(trilane_${name} PUBLIC trilane::${dep})
  endforeach()
  if(M_TESTS)
    add_executable(trilane_${name}_test ${M_TESTS})
    trilane_unity(trilane_${name}_test)
    target_compile_options(trilane_${name}_test PRIVATE ${TRILANE_TEST_OPTIONS})
    target_precompile_headers(trilane_${name}_test REUSE_FROM trilane_test_headers)
    target_compile_definitions(trilane_${name}_test PRIVATE TRILANE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(trilane_${name}_test PRIVATE trilane::${name} GTest::gtest GTest::gtest_main GTest::gmock ${M_LIBS})
    foreach(lib IN LISTS M_TEST_LIBS)
      target_link_libraries(trilane_${name}_test PRIVATE trilane::${lib})
    endforeach()
    add_test(NAME ${name} COMMAND trilane_${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 1200)
  endif()
endfunction()

# trilane_isa_source(<module> <file> <flags...>): one kernel file compiled for one instruction set.
function(trilane_isa_source name file)
  target_sources(trilane_${name} PRIVATE ${file})
  set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

# trilane_fuzz(<name> <file> <modules...>): a libFuzzer target, built only with TRILANE_FUZZ.
# Its kept corpus is tests/fuzz/<name>/; scripts/fuzz.sh runs them all.
function(trilane_fuzz name file)
  if(TRILANE_FUZZ)
    add_executable(fuzz_${name} ${file})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    foreach(lib IN LISTS ARGN)
      target_link_libraries(fuzz_${name} PRIVATE trilane::${lib})
    endforeach()
  endif()
endfunction()
