// Goal: moved weights have the same bytes, live once, and go with the model.
#include "engine/huge_weights.h"

#include <fstream>
#include <string>

#include "base/sha256.h"
#include "engine/stage_test_support.h"
#include "llama-model.h"

namespace shoal::engine::test {
namespace {

// What the process holds of `file` and in memory of its own, in bytes; 0 where the system does not say. Not its code:
// that is shared with whatever other test runs at the moment.
std::int64_t own_bytes(const std::string& file) {
  std::ifstream smaps("/proc/self/smaps");
  std::int64_t bytes = 0;
  bool of_file = false;
  for (std::string line; std::getline(smaps, line);) {
    const auto colon = line.find(':');
    const bool is_field = colon < line.find(' ');
    if (!is_field) of_file = line.ends_with(file);
    if (line.starts_with(of_file ? "Rss:" : "Anonymous:")) bytes += std::stoll(line.substr(colon + 1)) * 1024;
  }
  return bytes;
}

// A sanitizer's shadow memory grows with what is touched, so the process's memory says nothing there.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

Digest digest_of_weights(const llama_model* model) {
  Sha256 hash;
  for (const auto& [name, tensor] : llama_internal_get_tensor_map(model)) {
    hash.update({static_cast<const std::uint8_t*>(tensor->data), ggml_nbytes(tensor)});
  }
  return hash.finish();
}

TEST(HugeWeights, HaveTheSameBytesOnceAndGoWithTheModel) {
  const auto file = make_tiny_model("llama", "F16");
  const std::int64_t unit = 1 << 20;
  auto params = llama_model_default_params();
  params.use_extra_bufts = false;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  model::route_llama_log();
  llama_model* model = llama_model_load_from_file(file.c_str(), params);
  ASSERT_NE(model, nullptr) << model::take_llama_error();
  const Digest expected = digest_of_weights(model);  // touches every page
  const std::int64_t mapped = own_bytes(file);
  if (mapped == 0) GTEST_SKIP() << "no smaps";

  const auto moved = static_cast<std::int64_t>(move_weights_to_huge_pages(model, true));
  EXPECT_GE(moved, 14 * unit);  // the output of 32000 rows of 256, but for its ends
  EXPECT_EQ(digest_of_weights(model), expected);
  const std::int64_t after = own_bytes(file);
  if (kMemoryIsOurs) {
    EXPECT_LT(after, mapped + 2 * unit);
  }
  llama_model_free(model);
  if (kMemoryIsOurs) {
    EXPECT_LT(own_bytes(file), after - moved);
  }
}

// The embedding is looked up row by row and stays in the file, unless it is the output too.
TEST(HugeWeights, TakeTheEmbeddingOnlyAsOutput) {
  const auto file = make_tiny_model("gemma3", "Q8_0");
  auto params = llama_model_default_params();
  params.use_extra_bufts = false;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  for (bool is_last : {false, true}) {
    llama_model* model = llama_model_load_from_file(file.c_str(), params);
    ASSERT_NE(model, nullptr) << model::take_llama_error();
    std::uint64_t layers = 0;
    for (const auto& [name, tensor] : llama_internal_get_tensor_map(model)) {
      if (name.starts_with("blk.")) layers += ggml_nbytes(tensor);
    }
    const std::uint64_t moved = move_weights_to_huge_pages(model, is_last);
    if (is_last)
      EXPECT_GT(moved, layers + (4u << 20));
    else
      EXPECT_LE(moved, layers + (64u << 10));
    llama_model_free(model);
  }
}

}  // namespace
}  // namespace shoal::engine::test
