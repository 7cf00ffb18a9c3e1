#include "model/manifest.h"

#include <cstring>

#include <gmock/gmock.h>

#include "base/random.h"
#include "model/cut.h"
#include "model/test_models.h"

namespace shoal::model {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kArchitectures = {"llama", "qwen3", "gemma3", "phi3", "qwen3moe", "olmoe"};

class EveryArchitecture : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryArchitecture, IsDescribedByItsManifest) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model(GetParam());
  write_model(options, folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");

  EXPECT_EQ(m.architecture, GetParam());
  EXPECT_EQ(m.quantization, "Q4_0");
  EXPECT_EQ(m.tokenizer, "llama");
  EXPECT_EQ(m.layer_count, 6u);
  EXPECT_EQ(m.embedding_length, 256u);
  std::uint32_t vocabulary = GetParam() == "phi3" ? 32064 : 32000;
  EXPECT_EQ(m.vocabulary_size, vocabulary);
  EXPECT_EQ(m.context_length, 4096u);
  EXPECT_EQ(m.tied_output, GetParam() == "gemma3");
  EXPECT_EQ(m.kv_values_per_token, std::vector<std::uint32_t>(6, options.kv_heads * 64));
  EXPECT_EQ(m.sliding_window.empty(), GetParam() != "gemma3");
  std::vector<bool> cuts(7, true);
  if (GetParam() == "gemma3") cuts[5] = false;  // layer 5 has no window, and a stage 5:6 would have none at all
  EXPECT_EQ(m.cut_allowed, cuts);
  EXPECT_FALSE(m.shard_of);

  std::uint64_t layers = 0;
  for (std::uint32_t i = 0; i < 6; ++i) layers += m.layer_bytes(i);
  std::uint64_t matrix = m.find_tensor("token_embd.weight")->size_bytes;
  EXPECT_EQ(matrix, 256u * vocabulary / 32 * 18);
  EXPECT_EQ(m.size_bytes(), layers + (m.tied_output ? 1 : 2) * matrix + 1024);
  EXPECT_EQ(m.stage_weight_bytes({1, 3}), m.layer_bytes(1) + m.layer_bytes(2) + 1024);
  EXPECT_EQ(m.stage_weight_bytes({0, 1}), m.layer_bytes(0) + matrix + 1024);
  EXPECT_EQ(m.stage_weight_bytes({5, 6}), m.layer_bytes(5) + matrix + 1024);
  EXPECT_EQ(m.stage_kv_bytes({1, 3}, 100, KvType::kF16), 2u * 100 * options.kv_heads * 64 * 2);
  EXPECT_EQ(m.stage_kv_bytes({1, 3}, 100, KvType::kQ8_0), 2u * 100 * options.kv_heads * 64 * 34 / 32);
}

INSTANTIATE_TEST_SUITE_P(Manifest, EveryArchitecture, ::testing::ValuesIn(kArchitectures),
                         [](const auto& test) { return test.param; });

TEST(Manifest, NamesTheCommonTypeOfAMix) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model("llama");
  options.type = "Q4_K_M";
  write_model(options, folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  EXPECT_EQ(m.find_tensor("output.weight")->type, 14u);          // Q6_K
  EXPECT_EQ(m.find_tensor("blk.5.ffn_down.weight")->type, 14u);  // one of the last eighth
  EXPECT_EQ(m.find_tensor("blk.0.attn_q.weight")->type, 12u);    // Q4_K
}

TEST(Manifest, ReadsASplitSetFromAnyOfItsParts) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model("llama");
  write_model(options, folder / "one.gguf");
  options.split = 3;
  auto files = write_model(options, folder / "set.gguf");
  ASSERT_EQ(files.size(), 3u);
  Manifest whole = manifest_of(folder / "one.gguf");
  for (const auto& file : files) {
    Manifest set = manifest_of(file);
    EXPECT_EQ(set.files, files);
    EXPECT_EQ(set.tensors.size(), whole.tensors.size());
    EXPECT_EQ(set.size_bytes(), whole.size_bytes());
  }
  auto hashes = hash_tensors(manifest_of(files[1]));
  auto expected = hash_tensors(whole);
  ASSERT_TRUE(hashes.ok() && expected.ok());
  EXPECT_EQ(*hashes, *expected);

  std::filesystem::rename(files[1], folder / "elsewhere");
  auto missing = read_manifest(files[0]);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  std::filesystem::copy_file(files[2], files[1]);
  auto doubled = read_manifest(files[0]);
  ASSERT_FALSE(doubled.ok());
  EXPECT_THAT(doubled.error().message, HasSubstr("is not part 2 of 3"));
}

// --- Bad files. Built by hand, so that each has exactly one fault. ---------------------------------------------------

struct Gguf {
  std::vector<MetadataEntry> metadata;
  std::vector<Tensor> tensors;
  std::uint32_t alignment = 32;

  void set(MetadataEntry entry) {
    std::erase_if(metadata, [&](const MetadataEntry& old) { return old.key == entry.key; });
    metadata.push_back(std::move(entry));
  }
  void add(std::string name, std::vector<std::uint64_t> shape) {
    Tensor tensor;
    tensor.name = std::move(name);
    tensor.shape = std::move(shape);
    tensor.size_bytes = tensor_bytes(0, tensor.shape).value_or(0);
    tensors.push_back(std::move(tensor));
  }
  Bytes bytes() const {
    std::vector<Tensor> table = tensors;
    std::uint64_t size = 0;
    Bytes file = write_gguf_header(metadata, table, alignment, size);
    file.resize(size, 0);
    return file;
  }
};

Gguf good_file() {
  Gguf gguf;
  gguf.set(MetadataEntry::of_string("general.architecture", "llama"));
  for (auto [key, value] : {std::pair<const char*, std::uint32_t>{"block_count", 2},
                            {"context_length", 64},
                            {"embedding_length", 8},
                            {"feed_forward_length", 8},
                            {"attention.head_count", 2},
                            {"attention.head_count_kv", 1},
                            {"rope.dimension_count", 4},
                            {"vocab_size", 3}}) {
    gguf.set(MetadataEntry::of_uint32(std::string("llama.") + key, value));
  }
  gguf.add("token_embd.weight", {8, 3});
  gguf.add("output_norm.weight", {8});
  gguf.add("blk.0.attn_norm.weight", {8});
  gguf.add("blk.1.attn_norm.weight", {8});
  return gguf;
}

void expect_refused(const Gguf& gguf, ErrorCode code, std::string_view part_of_message) {
  auto manifest = parse_manifest(gguf.bytes(), "bad.gguf");
  ASSERT_FALSE(manifest.ok()) << part_of_message;
  EXPECT_EQ(manifest.error().code, code) << manifest.error().message;
  EXPECT_THAT(manifest.error().message, HasSubstr(part_of_message));
  EXPECT_THAT(manifest.error().message, HasSubstr("bad.gguf"));
}

TEST(BadManifest, TheGoodFileIsTaken) {
  Bytes file = good_file().bytes();
  auto manifest = parse_manifest(file, "good.gguf");
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_TRUE(manifest->tied_output);
  EXPECT_EQ(manifest->name, "good");
}

TEST(BadManifest, NoGguf) {
  for (std::string_view text : {"", "GGU", "PK\3\4 and so on", "FUGG\0\0\0\3"}) {
    auto manifest = parse_manifest(as_bytes(text), "x.gguf");
    ASSERT_FALSE(manifest.ok());
    EXPECT_EQ(manifest.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(manifest.error().message, HasSubstr("is not a GGUF file"));
  }
  auto missing = read_manifest("/nonexistent/x.gguf");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(BadManifest, OtherVersionsAndByteOrder) {
  Bytes file = good_file().bytes();
  for (auto [version, part] :
       {std::pair<std::uint32_t, const char*>{1, "version 1"}, {4, "version 4"}, {0x03000000, "big-endian"}}) {
    store_le(file.data() + 4, version);
    auto manifest = parse_manifest(file, "x.gguf");
    ASSERT_FALSE(manifest.ok());
    EXPECT_EQ(manifest.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(manifest.error().message, HasSubstr(part));
  }
}

TEST(BadManifest, EveryTruncationIsCorrupt) {
  Bytes file = good_file().bytes();
  // The padding behind the last tensor's 32 bytes is none, so every byte counts.
  for (std::size_t size = 0; size < file.size(); ++size) {
    auto manifest = parse_manifest(ByteSpan(file).first(size), "x.gguf");
    ASSERT_FALSE(manifest.ok()) << size;
    EXPECT_EQ(manifest.error().code, ErrorCode::kCorrupt) << size << " " << manifest.error().message;
  }
}

TEST(BadManifest, TruncatedModelsOnDisk) {
  TemporaryFolder folder;
  write_model(small_model("llama"), folder / "m.gguf");
  std::uint64_t size = std::filesystem::file_size(folder / "m.gguf");
  for (int i = 9; i >= 0; --i) {
    std::filesystem::resize_file(folder / "m.gguf", size * static_cast<std::uint64_t>(i) / 10);
    auto manifest = read_manifest(folder / "m.gguf");
    ASSERT_FALSE(manifest.ok());
    EXPECT_EQ(manifest.error().code, ErrorCode::kCorrupt);
  }
}

// Whatever the bytes are: an answer, no crash (run under the sanitizers too), no memory for claims.
TEST(BadManifest, MutationsNeverCrash) {
  const Bytes good = good_file().bytes();
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    SplitMix64 random(seed);
    Bytes file = good;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      constexpr std::uint64_t kNasty[] = {0, 1, 0xff, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX / 2, 1ull << 62};
      std::uint64_t value = random.below(2) == 0 ? kNasty[random.below(std::size(kNasty))] : random();
      std::size_t width = std::size_t{1} << random.below(4);
      std::memcpy(file.data() + random.below(file.size() - width), &value, width);
    }
    auto manifest = parse_manifest(file, "x.gguf");
    if (!manifest.ok()) {
      ++refused;
      EXPECT_EQ(manifest.error().message.find('\n'), std::string::npos);
      continue;
    }
    for (std::uint32_t i = 0; i < manifest->layer_count; ++i) {
      auto cut = plan_cut(*manifest, {i, i + 1});
      EXPECT_TRUE(!cut.ok() || !cut->sources.empty());
    }
  }
  EXPECT_GT(refused, 5000);
}

TEST(BadManifest, HostileCounts) {
  Bytes file = good_file().bytes();
  for (std::size_t at : {std::size_t{8}, std::size_t{16}}) {  // tensors, metadata entries
    Bytes bad = file;
    store_le<std::uint64_t>(bad.data() + at, UINT64_MAX);
    auto manifest = parse_manifest(bad, "x.gguf");
    ASSERT_FALSE(manifest.ok());
    EXPECT_THAT(manifest.error().message, HasSubstr("claims 18446744073709551615"));
  }
}

TEST(BadManifest, Metadata) {
  Gguf gguf = good_file();
  gguf.set(MetadataEntry::of_string("general.architecture", "mamba"));
  expect_refused(gguf, ErrorCode::kUnsupported, "its architecture 'mamba' cannot be cut into stages; these can: arcee");
  gguf = good_file();
  gguf.metadata.push_back(gguf.metadata[1]);
  expect_refused(gguf, ErrorCode::kCorrupt, "'llama.block_count' is there twice");
  for (auto [key, value] : {std::pair<const char*, std::uint32_t>{"block_count", 0},
                            {"block_count", 513},
                            {"embedding_length", 0},
                            {"attention.head_count", 0},
                            {"attention.head_count_kv", 0},
                            {"expert_count", 5000}}) {
    gguf = good_file();
    gguf.set(MetadataEntry::of_uint32(std::string("llama.") + key, value));
    expect_refused(gguf, ErrorCode::kCorrupt, key);
  }
  gguf = good_file();
  gguf.set(MetadataEntry::of_string("llama.block_count", "two"));
  expect_refused(gguf, ErrorCode::kCorrupt, "'llama.block_count' is not a whole number");
  gguf = good_file();
  gguf.set(MetadataEntry::of_string("llama.rope.scaling.type", "magic"));
  expect_refused(gguf, ErrorCode::kCorrupt, "'rope.scaling.type' 'magic' is unknown");
  gguf = good_file();
  gguf.set(MetadataEntry::of_uint32("llama.nextn_predict_layers", 1));
  expect_refused(gguf, ErrorCode::kUnsupported, "multi-token prediction");
  gguf = good_file();
  gguf.set(MetadataEntry::of_bools("llama.attention.head_count_kv", {true, true, true}));
  expect_refused(gguf, ErrorCode::kCorrupt, "has 3 values for 2 layers");
  gguf = good_file();
  for (MetadataEntry& entry : gguf.metadata) {
    if (entry.key.starts_with("llama.")) entry.key.replace(0, 5, "gemma3");
  }
  gguf.set(MetadataEntry::of_string("general.architecture", "gemma3"));
  gguf.set(MetadataEntry::of_uint32("gemma3.attention.sliding_window", 4));
  EXPECT_TRUE(parse_manifest(gguf.bytes(), "x.gguf").ok());
  gguf.set(MetadataEntry::of_bools("gemma3.attention.sliding_window_pattern", {false, false}));
  expect_refused(gguf, ErrorCode::kUnsupported, "a sliding window and no layer that uses it");
  for (std::uint32_t alignment : {0u, 24u, 1u << 21}) {
    gguf = good_file();
    gguf.set(MetadataEntry::of_uint32("general.alignment", alignment));
    expect_refused(gguf, ErrorCode::kCorrupt, "general.alignment");
  }
}

TEST(BadManifest, Tensors) {
  Gguf gguf = good_file();
  gguf.add("blk.0.attn_norm.weight", {8});
  expect_refused(gguf, ErrorCode::kCorrupt, "tensor 'blk.0.attn_norm.weight' is there twice");
  gguf = good_file();
  gguf.add("blk.2.attn_norm.weight", {8});
  expect_refused(gguf, ErrorCode::kCorrupt, "is of no layer");
  gguf = good_file();
  gguf.tensors.pop_back();
  expect_refused(gguf, ErrorCode::kCorrupt, "layer 1 of 2 has no tensors");
  gguf = good_file();
  gguf.tensors.erase(gguf.tensors.begin());
  expect_refused(gguf, ErrorCode::kCorrupt, "'token_embd.weight' is missing");
  gguf = good_file();
  gguf.tensors[0].shape = {8, 4};
  gguf.tensors[0].size_bytes = 128;
  expect_refused(gguf, ErrorCode::kCorrupt, "has the shape [8, 4], expected [8, 3]");
  gguf = good_file();
  gguf.add("cls.weight\n", {8});
  expect_refused(gguf, ErrorCode::kUnsupported, "which stage needs the tensor 'cls.weight?'");
  gguf = good_file();
  gguf.tensors.clear();
  expect_refused(gguf, ErrorCode::kCorrupt, "a vocabulary and no weights");
  for (std::uint32_t type : {4u, 43u, 0xffffffffu}) {  // given up, one past the last, nonsense
    gguf = good_file();
    gguf.tensors[0].type = type;
    expect_refused(gguf, ErrorCode::kCorrupt, "impossible shape");
  }
  for (const std::vector<std::uint64_t>& shape : {std::vector<std::uint64_t>{0, 3}, {8, UINT64_MAX}, {1ull << 62, 8}}) {
    gguf = good_file();
    gguf.tensors[0].shape = shape;
    expect_refused(gguf, ErrorCode::kCorrupt, "impossible shape");
  }
}

}  // namespace
}  // namespace shoal::model
