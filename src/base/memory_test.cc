// Goal: memory that was freed goes back to the system. How: many small blocks below one that stays, and what the kernel
// counts as resident.
#include "base/memory.h"

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

namespace shoal {
namespace {

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all_pages = 0, resident_pages = 0;
  statm >> all_pages >> resident_pages;
  return resident_pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(ReleaseFreedMemory, FreedBlocksBelowALivingOneGoBack) {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "another allocator than glibc's";
#endif
  constexpr std::size_t kBlocks = 8192, kBlockBytes = 4096;
  std::vector<std::unique_ptr<char[]>> blocks(kBlocks);
  for (auto& block : blocks) {
    block = std::make_unique<char[]>(kBlockBytes);
    std::memset(block.get(), 1, kBlockBytes);
  }
  const auto stays = std::make_unique<char[]>(kBlockBytes);  // else free() itself gives back what is on top
  blocks.clear();
  const std::size_t before = resident_bytes();
  release_freed_memory();
  EXPECT_LT(resident_bytes() + kBlocks * kBlockBytes / 2, before);
}

}  // namespace
}  // namespace shoal
