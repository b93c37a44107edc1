# Included by bench/CMakeLists.txt: the HTTP load generator, and what to point it at.
add_executable(http_load ${CMAKE_CURRENT_LIST_DIR}/http_load.cpp)
target_compile_options(http_load PRIVATE ${TRILANE_WARNINGS})
target_link_libraries(http_load PRIVATE fmt::fmt)

add_executable(bench_http_server ${CMAKE_CURRENT_LIST_DIR}/http_server.cpp)
target_compile_options(bench_http_server PRIVATE ${TRILANE_WARNINGS})
target_link_libraries(bench_http_server PRIVATE trilane::gateway)

add_executable(bench_http_proxy ${CMAKE_CURRENT_LIST_DIR}/http_proxy.cpp)
target_compile_options(bench_http_proxy PRIVATE ${TRILANE_WARNINGS})
target_link_libraries(bench_http_proxy PRIVATE trilane::net)
