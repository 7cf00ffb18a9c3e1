#include "base/command.h"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char** environ;

namespace shoal {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kLookEvery = std::chrono::milliseconds(50);

// A program that runs; killed with its group and waited for when it goes out of scope.
class Running {
 public:
  explicit Running(pid_t pid) : pid_(pid) {}
  ~Running() {
    if (pid_ == 0) return;
    ::kill(-pid_, SIGKILL);  // its group has its number
    ::waitpid(pid_, nullptr, 0);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // Its wait status, once it has ended.
  std::optional<int> ended() {
    int status = 0;
    const pid_t waited = ::waitpid(pid_, &status, WNOHANG);
    if (waited == 0) return std::nullopt;
    pid_ = 0;
    return waited > 0 ? status : -1;  // somebody else (an ignored SIGCHLD) took its word: not a success
  }

 private:
  pid_t pid_;
};

Result<pid_t> spawn(const std::vector<std::string>& arguments, int output) {
  keep_descriptors_from_children();
  const std::vector<char*> argv = argv_of(arguments);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot start {}: {}", arguments[0], std::generic_category().message(error))};
  }
  return pid;
}

}  // namespace

void keep_descriptors_from_children() {
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

Result<std::string> output_of(const std::vector<std::string>& arguments, Duration time_max, std::size_t bytes_max,
                              const std::function<bool()>& stopping) {
  const auto until = SteadyClock::now() + time_max;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error{ErrorCode::kResourceExhausted, "no more pipes"};
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  SHOAL_ASSIGN_OR_RETURN(const pid_t pid, spawn(arguments, write_end.get()));
  Running running(pid);
  write_end.reset();

  std::string output;
  bool more = true;
  std::optional<int> status;
  while (more || !(status = running.ended())) {
    if (stopping()) return Error{ErrorCode::kCancelled, fmt::format("{} was stopped", arguments[0])};
    if (SteadyClock::now() >= until) {
      return Error{ErrorCode::kDeadlineExceeded,
                   fmt::format("{} did not end within {} ms", arguments[0], time_max.count() / 1000)};
    }
    if (!more) {  // it has closed its output: about to end, as a rule
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    pollfd waiting{read_end.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(kLookEvery.count())) <= 0) continue;
    char bytes[4096];
    const ssize_t count = ::read(read_end.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    more = count > 0;
    if (more) output.append(bytes, static_cast<std::size_t>(count));
    if (output.size() > bytes_max) {
      return Error{ErrorCode::kResourceExhausted, fmt::format("{} prints more than {} bytes", arguments[0], bytes_max)};
    }
  }
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    return Error{ErrorCode::kInternal, fmt::format("{} failed", arguments[0])};
  }
  return output;
}

}  // namespace shoal
