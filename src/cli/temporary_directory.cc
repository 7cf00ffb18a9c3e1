#include "cli/temporary_directory.h"

#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "shoal-run-";
constexpr const char* kLock = "lock";
constexpr int kTriesMax = 8;

// The lock of `directory`, held; not open when another process holds it, or there is none and `flags` do not make it.
FileDescriptor take_lock(const fs::path& directory, int flags) {
  const fs::path path = directory / kLock;
  FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600));
  if (!lock.open() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
  // Between opening and locking, another process may have removed the file: then this lock means nothing.
  struct stat held = {}, there = {};
  const bool same = ::fstat(lock.get(), &held) == 0 && ::lstat(path.c_str(), &there) == 0 &&
                    held.st_ino == there.st_ino && held.st_dev == there.st_dev;
  return same ? std::move(lock) : FileDescriptor();
}

// The lock goes last: what could not be removed now can be the next time.
void remove_all_but_lock_then_all(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> inside;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() != kLock) inside.push_back(it->path());
  }
  for (const fs::path& path : inside) {
    fs::remove_all(path, error);
    if (error) return;
  }
  fs::remove_all(directory, error);
}

void remove_ownerless(const fs::path& below) {
  std::error_code error;
  std::vector<fs::path> ownerless;
  for (fs::directory_iterator it(below, error), end; !error && it != end; it.increment(error)) {
    struct stat info = {};
    if (!it->path().filename().string().starts_with(kPrefix)) continue;
    if (::lstat(it->path().c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid()) {
      ownerless.push_back(it->path());
    }
  }
  for (const fs::path& path : ownerless) {
    // A directory without a lock is another process's that has not got to it yet.
    if (FileDescriptor lock = take_lock(path, 0); lock.open()) remove_all_but_lock_then_all(path);
  }
}

}  // namespace

Result<TemporaryDirectory> TemporaryDirectory::make() {
  std::error_code error;
  const fs::path below = fs::temp_directory_path(error);
  if (error) return Error{ErrorCode::kNotFound, "no directory for temporary files: " + error.message()};
  remove_ownerless(below);
  for (int i = 0; i < kTriesMax; ++i) {
    std::string pattern = (below / (std::string(kPrefix) + "XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr) break;
    // Another process may take the lock first, to remove what is ownerless: then the directory is its own.
    if (FileDescriptor lock = take_lock(pattern, O_CREAT); lock.open()) {
      return TemporaryDirectory(pattern, std::move(lock));
    }
  }
  return Error{ErrorCode::kResourceExhausted, "cannot make a directory in " + below.string()};
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) remove_all_but_lock_then_all(path_);
}

}  // namespace shoal::cli
