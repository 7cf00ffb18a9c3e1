// Goal: what another program prints comes back whole or not at all, and none outlives its time. How: shell scripts that
// print, fail, print for ever, and hang with children of their own.
#include "base/command.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr auto kLong = std::chrono::seconds(30);

Result<std::string> shell(
    const std::string& script, Duration time_max = kLong, std::size_t bytes_max = 1 << 20,
    const std::function<bool()>& stopping = [] { return false; }) {
  return output_of({"/bin/sh", "-c", script}, time_max, bytes_max, stopping);
}

// A process that is not there, or only waits to be forgotten by its parent.
bool is_gone(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string number, name, state;
  return !(stat >> number >> name >> state) || state == "Z" || state == "X";
}

TEST(Command, GivesWhatItPrints) {
  EXPECT_EQ(shell("echo out; echo err >&2").value(), "out\n");
  EXPECT_EQ(shell("cat").value(), "") << "there is no input";
  EXPECT_EQ(shell("head -c 300000 /dev/zero").value().size(), 300'000u);
}

TEST(Command, SaysWhyItGivesNothing) {
  EXPECT_EQ(shell("echo out; exit 3").error().code, ErrorCode::kInternal);
  EXPECT_EQ(shell("kill -9 $$").error().code, ErrorCode::kInternal);
  const auto missing = output_of({"/nowhere/command"}, kLong, 100, [] { return false; });
  EXPECT_EQ(missing.error().code, ErrorCode::kInternal);
  EXPECT_THAT(missing.error().message, HasSubstr("/nowhere/command"));
  EXPECT_EQ(shell("yes", kLong, 10'000).error().code, ErrorCode::kResourceExhausted);
}

TEST(Command, KillsWhatHangsWithItsChildren) {
  std::string folder = (std::filesystem::temp_directory_path() / "shoal-command-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string pids = folder + "/pids";
  const std::string hangs = "sleep 1000 & echo $! $$ > " + pids + "; wait";
  const auto expect_gone = [&] {
    std::ifstream file(pids);
    std::string child, self;
    ASSERT_TRUE(file >> child >> self) << "it was killed before it began";
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    while (!is_gone(child) && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
    EXPECT_TRUE(is_gone(child));
    EXPECT_TRUE(is_gone(self));
    std::filesystem::remove(pids);
  };
  EXPECT_EQ(shell(hangs, milliseconds(1500)).error().code, ErrorCode::kDeadlineExceeded);
  expect_gone();
  EXPECT_EQ(
      shell(hangs, kLong, 100, [&] { return std::filesystem::exists(pids) && std::filesystem::file_size(pids) > 0; })
          .error()
          .code,
      ErrorCode::kCancelled);
  expect_gone();
  // Its output is closed, and it does not end.
  EXPECT_EQ(shell("exec >&-; " + hangs, milliseconds(1500)).error().code, ErrorCode::kDeadlineExceeded);
  expect_gone();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace shoal
