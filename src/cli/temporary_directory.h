// The directory of one `shoal run`, gone when the process ends; and what such processes left that were killed.
//
// The owner holds a lock on the file `lock` in it, which the kernel drops however the owner ends. A directory of this
// user whose lock is free has no owner any more.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/result.h"

namespace shoal::cli {

class TemporaryDirectory {
 public:
  // Removes the directories that nobody owns any more, then makes one, below the system's directory for such things.
  static Result<TemporaryDirectory> make();
  ~TemporaryDirectory();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryDirectory(std::filesystem::path path, FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  FileDescriptor lock_;
};

}  // namespace shoal::cli
