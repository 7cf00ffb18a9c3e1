// Goal: any piece that a layout names can be read and is the bytes that write_shard would put there; hashes are kept
// for exactly this file; the shape given to the planner covers the whole model. How: small random models on disk.
#include "coordinator/model_source.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using ::testing::HasSubstr;

class ModelSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = Store::open(folder_ / "state");
    ASSERT_TRUE(store.ok()) << store.error().message;
    store_ = std::move(*store);
  }

  std::filesystem::path write(const tools::ModelOptions& options = model::small_model("llama")) {
    model::write_model(options, folder_ / "model.gguf");
    return folder_ / "model.gguf";
  }

  std::unique_ptr<ModelSource> open(const std::filesystem::path& path) {
    hashed_bytes_ = 0;
    auto source = ModelSource::open(path, *store_, [&](std::uint64_t done) {
      hashed_bytes_ = done;
      return true;
    });
    EXPECT_TRUE(source.ok()) << source.error().message;
    return source.ok() ? std::move(*source) : nullptr;
  }

  // The shard made of nothing but a layout and pieces read by hash, in chunks that do not divide them.
  static std::string assemble(const ModelSource& source, const model::ShardLayout& layout) {
    std::string file(layout.file_bytes, '\0');
    for (const auto& piece : layout.pieces) {
      std::uint64_t at = 0;
      while (at < piece.size_bytes) {
        auto bytes = source.read_piece(piece.sha256, at, 100'003);
        if (!bytes.ok()) {
          ADD_FAILURE() << bytes.error().message;
          return {};
        }
        std::copy(bytes->begin(), bytes->end(), file.begin() + static_cast<std::ptrdiff_t>(piece.offset + at));
        at += bytes->size();
      }
      EXPECT_EQ(at, piece.size_bytes);
    }
    return file;
  }

  model::TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  std::uint64_t hashed_bytes_ = 0;
};

TEST_F(ModelSourceTest, PiecesAreTheBytesOfTheCut) {
  auto source = open(write());
  ASSERT_TRUE(source);
  for (LayerRange range : {LayerRange{0, 2}, LayerRange{2, 5}, LayerRange{5, 6}, LayerRange{0, 6}}) {
    auto layout = source->layout(range);
    ASSERT_TRUE(layout.ok()) << layout.error().message;
    auto cut = model::plan_cut(source->manifest(), range);
    ASSERT_TRUE(cut.ok());
    auto shard = folder_ / "expected.gguf";
    ASSERT_TRUE(model::write_shard(source->manifest(), *cut, shard).ok());
    EXPECT_TRUE(assemble(*source, **layout) == read_file(shard, 1u << 30).value()) << range.text();
  }
}

TEST_F(ModelSourceTest, ALayoutIsMadeOnceAndStaysWhereItIs) {
  auto source = open(write());
  ASSERT_TRUE(source);
  auto first = source->layout({0, 3});
  ASSERT_TRUE(first.ok());
  for (std::uint32_t last = 4; last <= 6; ++last) ASSERT_TRUE(source->layout({1, last}).ok());
  auto again = source->layout({0, 3});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*first, *again);
}

TEST_F(ModelSourceTest, WhatNoLayoutNamedCannotBeRead) {
  auto source = open(write());
  ASSERT_TRUE(source);
  auto layout = source->layout({0, 3});
  ASSERT_TRUE(layout.ok());
  const auto& piece = (*layout)->pieces[1];
  EXPECT_EQ(source->read_piece(Sha256::of(as_bytes("no piece")), 0, 1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->read_piece(piece.sha256, piece.size_bytes, 1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->read_piece(piece.sha256, piece.size_bytes - 1, 100)->size(), 1u);
  EXPECT_FALSE(source->layout({3, 3}).ok());
  EXPECT_FALSE(source->layout({3, 7}).ok());
}

TEST_F(ModelSourceTest, AModelIsHashedOnceUntilItChanges) {
  auto path = write();
  auto first = open(path);
  ASSERT_TRUE(first);
  EXPECT_EQ(hashed_bytes_, first->manifest().size_bytes());
  auto layout_before = *first->layout({0, 3}).value();
  first.reset();

  auto second = open(path);
  ASSERT_TRUE(second);
  EXPECT_EQ(hashed_bytes_, 0u) << "the store remembers";
  EXPECT_EQ(*second->layout({0, 3}).value(), layout_before);
  second.reset();

  // The same size, other weights, a later time of change.
  auto before = std::filesystem::last_write_time(path);
  auto options = model::small_model("llama");
  options.seed = 2;
  write(options);
  std::filesystem::last_write_time(path, before + std::chrono::seconds(1));
  auto third = open(path);
  ASSERT_TRUE(third);
  EXPECT_EQ(hashed_bytes_, third->manifest().size_bytes());
  EXPECT_NE(third->layout({0, 3}).value()->id(), layout_before.id());
}

TEST_F(ModelSourceTest, ASplitSetIsServedLikeOneFile) {
  auto source = open(write());
  ASSERT_TRUE(source);
  auto whole = assemble(*source, *source->layout({1, 4}).value());
  auto options = model::small_model("llama");
  options.split = 3;
  auto parts = model::write_model(options, folder_ / "split");
  ASSERT_EQ(parts.size(), 3u);
  auto split = open(parts[1]);
  ASSERT_TRUE(split);
  // The headers may differ (the split set says that it is one): the tensors may not.
  auto a = source->layout({1, 4}).value();
  auto b = split->layout({1, 4}).value();
  ASSERT_EQ(a->pieces.size(), b->pieces.size());
  for (std::size_t i = 1; i < a->pieces.size(); ++i) EXPECT_EQ(a->pieces[i].sha256, b->pieces[i].sha256) << i;
  EXPECT_EQ(assemble(*split, *b).size(), b->file_bytes);
}

TEST_F(ModelSourceTest, AShardIsNoModelToServe) {
  auto source = open(write());
  ASSERT_TRUE(source);
  auto cut = model::plan_cut(source->manifest(), {1, 4});
  ASSERT_TRUE(model::write_shard(source->manifest(), *cut, folder_ / "shard.gguf").ok());
  auto refused = ModelSource::open(folder_ / "shard.gguf", *store_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("1:4"));
}

// The shape's sums are those of the manifest, whatever the architecture ties or shares.
TEST_F(ModelSourceTest, TheShapeCoversTheWholeModel) {
  for (const char* architecture : {"llama", "qwen3", "gemma3", "phi3", "qwen3moe"}) {
    auto source = open(write(model::small_model(architecture)));
    ASSERT_TRUE(source);
    const auto& manifest = source->manifest();
    StageSettings settings;
    auto shape = model_shape(manifest, settings);
    ASSERT_EQ(shape.layer_count, manifest.layer_count);
    auto sum = [](const std::vector<std::uint64_t>& values) {
      return std::accumulate(values.begin(), values.end(), std::uint64_t{0});
    };
    EXPECT_GE(
        sum(shape.layer_weight_bytes) + shape.every_stage_bytes + shape.first_stage_bytes + shape.last_stage_bytes,
        manifest.size_bytes())
        << architecture;
    EXPECT_GE(sum(shape.layer_kv_bytes),
              manifest.stage_kv_bytes({0, manifest.layer_count}, settings.kv_tokens_total, settings.kv_type))
        << architecture;
    EXPECT_EQ(shape.cut_allowed, manifest.cut_allowed);
  }
}

TEST_F(ModelSourceTest, ItsDigestIsOfTheModelAndNotOfItsFile) {
  auto options = model::small_model("llama");
  options.layers = 1;
  const Digest digest = open(write(options))->digest();
  std::filesystem::rename(folder_ / "model.gguf", folder_ / "renamed.gguf");
  EXPECT_EQ(open(folder_ / "renamed.gguf")->digest(), digest);
  options.seed = 2;
  const Digest other_weights = open(write(options))->digest();
  EXPECT_NE(other_weights, digest);
  options.chat_template = "{{ messages[0].content }}";
  EXPECT_NE(open(write(options))->digest(), other_weights);
}

}  // namespace
}  // namespace shoal::coordinator
