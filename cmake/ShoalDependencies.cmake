# What Shoal links, all from Debian 12 except llama.cpp (scripts/llama.sh). docs/architecture.md §10 says why each.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(QRENCODE REQUIRED IMPORTED_TARGET libqrencode)
if(SHOAL_TESTS)
  include(GoogleTest)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
endif()

# llama.cpp: built by scripts/llama.sh into a cache outside the checkout, linked static.
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/llama.sh dir OUTPUT_VARIABLE SHOAL_LLAMA_BUILD
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/llama.sh source-dir OUTPUT_VARIABLE SHOAL_LLAMA_SOURCE_DIR
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT EXISTS ${SHOAL_LLAMA_BUILD}/.shoal-built-libs)
  message(FATAL_ERROR "llama.cpp is not built yet: run scripts/llama.sh libs (make does)")
endif()

# The C API: what model/ and engine/ include.
add_library(shoal_llama INTERFACE)
target_include_directories(shoal_llama SYSTEM INTERFACE
  ${SHOAL_LLAMA_SOURCE_DIR}/include ${SHOAL_LLAMA_SOURCE_DIR}/ggml/include)
target_link_libraries(shoal_llama INTERFACE
  ${SHOAL_LLAMA_BUILD}/src/libllama.a
  ${SHOAL_LLAMA_BUILD}/ggml/src/libggml.a
  ${SHOAL_LLAMA_BUILD}/ggml/src/libggml-cpu.a
  ${SHOAL_LLAMA_BUILD}/ggml/src/ggml-rpc/libggml-rpc.a
  ${SHOAL_LLAMA_BUILD}/ggml/src/libggml-base.a
  Threads::Threads ${CMAKE_DL_LIBS} m)

# llama.cpp's `common` (chat templates): C++ headers with their own copy of nlohmann-json, so only one file includes them.
add_library(shoal_llama_common INTERFACE)
target_include_directories(shoal_llama_common SYSTEM INTERFACE
  ${SHOAL_LLAMA_SOURCE_DIR}/common ${SHOAL_LLAMA_SOURCE_DIR}/vendor)
target_link_libraries(shoal_llama_common INTERFACE
  ${SHOAL_LLAMA_BUILD}/common/libllama-common.a
  ${SHOAL_LLAMA_BUILD}/common/libllama-common-base.a
  shoal_llama)
