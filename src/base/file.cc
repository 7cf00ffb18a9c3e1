#include "base/file.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal {
namespace fs = std::filesystem;
namespace {

Error system_error(std::string_view doing, const fs::path& path, int number = errno) {
  ErrorCode code = ErrorCode::kInternal;
  if (number == ENOENT || number == ENOTDIR) code = ErrorCode::kNotFound;
  if (number == ENOSPC || number == EDQUOT || number == ENOMEM) code = ErrorCode::kResourceExhausted;
  return Error{code, fmt::format("cannot {} {}: {}", doing, path.string(), std::generic_category().message(number))};
}

}  // namespace

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<FileDescriptor> FileDescriptor::open_read(const fs::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("open", path);
  return FileDescriptor(fd);
}

Result<FileDescriptor> FileDescriptor::open_write(const fs::path& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("open for writing", path);
  return FileDescriptor(fd);
}

Status FileDescriptor::read_at(std::uint64_t offset, std::span<std::uint8_t> into, const fs::path& name) const {
  while (!into.empty()) {
    ssize_t count = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read", name);
    if (count == 0) {
      return Error{ErrorCode::kCorrupt, fmt::format("{} ends {} bytes too early", name.string(), into.size())};
    }
    offset += static_cast<std::uint64_t>(count);
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status FileDescriptor::write_at(std::uint64_t offset, ByteSpan bytes, const fs::path& name) const {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write", name);
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::uint64_t> FileDescriptor::size(const fs::path& name) const {
  struct stat info;
  if (::fstat(fd_, &info) != 0) return system_error("inspect", name);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_read(path));
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return system_error("inspect", path);
  if (!S_ISREG(info.st_mode)) return Error{ErrorCode::kInvalidArgument, path.string() + " is not a regular file"};
  MappedFile mapped;
  auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return mapped;
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (start == MAP_FAILED) return system_error("map", path);
  mapped.bytes_ = ByteSpan(static_cast<const std::uint8_t*>(start), size);
  return mapped;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

Result<std::string> read_file(const fs::path& path, std::uint64_t size_max) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_read(path));
  SHOAL_ASSIGN_OR_RETURN(std::uint64_t size, file.size(path));
  if (size > size_max) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} has {} bytes, more than the {} that make sense here", path.string(), size, size_max)};
  }
  std::string content(size, '\0');
  SHOAL_RETURN_IF_ERROR(file.read_at(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()}, path));
  return content;
}

Status write_file_atomic(const fs::path& path, std::string_view content, unsigned mode) {
  fs::path temporary = path;
  temporary += fmt::format(".{}.tmp", ::getpid());
  {
    int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) return system_error("write", temporary);
    FileDescriptor file(fd);
    SHOAL_RETURN_IF_ERROR(file.write_at(0, as_bytes(content), temporary));
    if (::fsync(fd) != 0) return system_error("sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = system_error("replace", path);
    ::unlink(temporary.c_str());
    return error;
  }
  fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor parent, FileDescriptor::open_read(directory));
  if (::fsync(parent.get()) != 0) return system_error("sync", directory);
  return {};
}

Status make_directories(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return {};
  if (path.has_parent_path() && path.parent_path() != path) SHOAL_RETURN_IF_ERROR(make_directories(path.parent_path()));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("make the directory", path);
  // What is synced inside is lost with its directory. A parent that may not be read cannot be synced.
  if (auto parent = FileDescriptor::open_read(path.has_parent_path() ? path.parent_path() : "."); parent.ok()) {
    (void)::fsync(parent->get());
  }
  return {};
}

}  // namespace shoal
