// Large buffers of ggml in huge pages.
//
// Decoding streams every weight through the core once a token; with 4 KiB pages the page walks cost more than a tenth
// of it (bench/results/: 1.1B in Q4_0, one thread, +17 % with 2 MiB pages). Linux gives huge pages to those who ask
// where the system is set to `madvise`, as Debian and Android are, and ggml does not ask. So this stands in front of
// ggml's allocator (linked with --wrap), in every program that links the engine. What it returns is freed with free(),
// as ggml does. Any thread.
#include <cstdlib>

#include <sys/mman.h>

extern "C" {

void* __real_ggml_aligned_malloc(std::size_t size);

// NOLINTNEXTLINE(bugprone-reserved-identifier): the linker's name for a wrapped symbol.
void* __wrap_ggml_aligned_malloc(std::size_t size) {
  constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
  // Below this, rounding up to whole huge pages could waste a notable part of the buffer.
  constexpr std::size_t kSizeMin = 8 * kHugePageBytes;
  if (size < kSizeMin) return __real_ggml_aligned_malloc(size);
  void* memory = nullptr;
  if (::posix_memalign(&memory, kHugePageBytes, size) != 0) return nullptr;
  (void)::madvise(memory, size, MADV_HUGEPAGE);  // a kernel without them gives small pages
  return memory;
}
}
