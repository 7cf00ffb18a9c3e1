#include "cli/child_process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/command.h"

extern char** environ;

namespace shoal::cli {

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error{ErrorCode::kResourceExhausted, "no more pipes"};
  FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  keep_descriptors_from_children();
  const std::vector<char*> argv = argv_of(arguments);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, read_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot start {}: {}", arguments[0], std::generic_category().message(error))};
  }
  return ChildProcess(pid, std::move(write_end));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), stdin_(std::move(other.stdin_)) {}

bool ChildProcess::running() {
  if (pid_ == 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

ChildProcess::~ChildProcess() {
  stdin_.reset();
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (running()) {
    if (std::chrono::steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<std::string> own_program() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Error{ErrorCode::kInternal, "cannot find this program's own file: " + error.message()};
  return path.string();
}

}  // namespace shoal::cli
