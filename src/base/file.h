// Files: owned descriptors, read-only maps, whole-file reads and writes that survive power loss.
// Every failure names the path and the system's reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace shoal {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset();

  static Result<FileDescriptor> open_read(const std::filesystem::path& path);
  // Created 0600 when missing; never truncated.
  static Result<FileDescriptor> open_write(const std::filesystem::path& path);

  // Exactly `into.size()` bytes from `offset`, or an error.
  Status read_at(std::uint64_t offset, std::span<std::uint8_t> into, const std::filesystem::path& name) const;
  Status write_at(std::uint64_t offset, ByteSpan bytes, const std::filesystem::path& name) const;
  Result<std::uint64_t> size(const std::filesystem::path& name) const;

 private:
  int fd_ = -1;
};

// A whole file, read-only, in the address space. The bytes live as long as the object.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ByteSpan bytes() const { return bytes_; }

 private:
  ByteSpan bytes_;
};

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t size_max);
// Through a temporary file, fsync and rename: readers see the old bytes or the new ones, never a mixture.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content, unsigned mode = 0600);
// Like mkdir -p, with mode 0700 for what it makes, which is synced into its parent.
Status make_directories(const std::filesystem::path& path);

}  // namespace shoal
