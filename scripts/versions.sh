# What Shoal pins, read by the other scripts. One place, so that an upgrade is one diff.
# shellcheck shell=sh disable=SC2034

# llama.cpp, as the git bundle inside an npm package (docs/architecture.md §10 says why).
LLAMA_TAG=v0.5.0
LLAMA_COMMIT=de3ff815ea7d559ee917f063901b8986f038abc6
LLAMA_NPM_PACKAGE=node-llama-cpp@3.22.1
LLAMA_NPM_BUNDLE=package/llama/gitRelease.bundle
LLAMA_BUNDLE_SHA256=5f5d1105d5df040738d87b8290e5d17e7362131cdcfdb0831618e0ea528b4a51

# Debian 12 packages that a build and its tests need. npm is asked for only where llama.cpp is fetched.
APT_BUILD="g++ cmake ninja-build ccache git pkg-config make
  libboost1.81-dev libssl-dev libprotobuf-dev protobuf-compiler libsqlite3-dev
  libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libqrencode-dev"
APT_TEST="libgtest-dev libgmock-dev libbenchmark-dev clang libclang-rt-14-dev clang-format clang-tidy
  python3 curl avahi-daemon avahi-utils dbus iproute2 procps"
# What training the demo model anew takes besides (make demo-model). OpenBLAS: the reference BLAS is many times slower.
APT_DEMO_MODEL="python3 python3-torch python3-numpy libopenblas0-pthread"
