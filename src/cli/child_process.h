// A child process that ends with its parent: its standard input is a pipe that closes when we do, however we end. It
// inherits no other descriptor than its standard ones.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/file.h"
#include "base/result.h"

namespace shoal::cli {

class ChildProcess {
 public:
  // Runs `arguments` (arguments[0] is the program's path); stderr goes to `log` (appended).
  static Result<ChildProcess> start(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~ChildProcess();  // closes the pipe and waits; kills after five seconds
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  pid_t pid() const { return pid_; }
  bool running();

 private:
  ChildProcess(pid_t pid, FileDescriptor stdin_pipe) : pid_(pid), stdin_(std::move(stdin_pipe)) {}
  pid_t pid_;
  FileDescriptor stdin_;
};

// The path of this very program.
Result<std::string> own_program();

}  // namespace shoal::cli
