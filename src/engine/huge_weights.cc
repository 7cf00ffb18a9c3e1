#include "engine/huge_weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <sys/mman.h>

#include "ggml.h"
#include "llama-model.h"

namespace shoal::engine {
namespace {

constexpr std::uintptr_t kHugePageBytes = std::uintptr_t{2} << 20;
// Large enough for few mappings (Linux allows 65530), small enough to be spare on a phone.
constexpr std::uintptr_t kChunkBytes = 16 * kHugePageBytes;
// Tensors stand side by side but for alignment; what lies between them (a norm, padding) moves with them.
constexpr std::uintptr_t kGapBytesMax = 4096;

struct Range {
  std::uintptr_t begin = 0, end = 0;
};

// The runs of memory that a step reads in whole, in address order.
std::vector<Range> weight_runs(const llama_model* model, bool is_last) {
  const auto& tensors = llama_internal_get_tensor_map(model);
  const bool has_output =
      std::any_of(tensors.begin(), tensors.end(), [](const auto& entry) { return entry.first == "output.weight"; });
  std::vector<Range> ranges;
  for (const auto& [name, tensor] : tensors) {
    if (name == "token_embd.weight" && (has_output || !is_last)) continue;
    if (name == "output.weight" && !is_last) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(tensor->data);
    ranges.push_back({begin, begin + ggml_nbytes(tensor)});
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> runs;
  for (const Range& range : ranges) {
    if (!runs.empty() && range.begin <= runs.back().end + kGapBytesMax) {
      runs.back().end = std::max(runs.back().end, range.end);
    } else {
      runs.push_back(range);
    }
  }
  return runs;
}

// Copies [at, at + bytes), both multiples of a huge page, and puts the copy in its place. At no time is the place
// empty, and after a failure it is as it was.
bool move_chunk(std::uintptr_t at, std::size_t bytes) {
  const std::size_t reserved = bytes + kHugePageBytes;
  void* area = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return false;
  const auto start = reinterpret_cast<std::uintptr_t>(area);
  const std::uintptr_t copy = (start + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
  void* const from = reinterpret_cast<void*>(copy);
  void* const to = reinterpret_cast<void*>(at);
  const bool huge = ::madvise(from, bytes, MADV_HUGEPAGE) == 0;
  bool moved = false;
  if (huge) {
    std::memcpy(from, to, bytes);
    moved = ::mprotect(from, bytes, PROT_READ) == 0 &&
            ::mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
  }
  if (!moved) {
    ::munmap(area, reserved);
    return false;
  }
  if (copy > start) ::munmap(area, copy - start);
  const std::uintptr_t tail = copy + bytes;
  if (start + reserved > tail) ::munmap(reinterpret_cast<void*>(tail), start + reserved - tail);
  return true;
}

}  // namespace

std::uint64_t move_weights_to_huge_pages(const llama_model* model, bool is_last) {
  std::uint64_t moved = 0;
  for (const Range& run : weight_runs(model, is_last)) {
    const std::uintptr_t end = run.end & ~(kHugePageBytes - 1);
    for (std::uintptr_t at = (run.begin + kHugePageBytes - 1) & ~(kHugePageBytes - 1); at < end;) {
      const std::size_t bytes = std::min<std::uintptr_t>(kChunkBytes, end - at);
      if (!move_chunk(at, bytes)) return moved;
      moved += bytes;
      at += bytes;
    }
  }
  return moved;
}

}  // namespace shoal::engine
