// Goal: bad input gives one clear error and changes nothing; what a stage says about itself is measured.
#include "engine/stage.h"

#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "engine/stage_test_support.h"

namespace shoal::engine::test {
namespace {

class StageTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = make_tiny_model("llama", "Q4_0");
    options_ = exact_options();
    options_.settings.sequences_max = 2;
    options_.settings.kv_tokens_total = 256;
    options_.settings.context_tokens_max = 250;
    stage_ = load_stage(file_, true, true, options_);
    ASSERT_NE(stage_, nullptr);
  }
  std::vector<float> logits_of(const std::vector<Row>& rows) {
    auto output = stage_->step({rows, {}});
    EXPECT_TRUE(output.ok()) << output.error().message;
    return output.ok() && !output->logits.empty() ? by_token(output->logits.back()) : std::vector<float>();
  }
  // The step fails with this code, and the positions are as before.
  void expect_refused(const std::vector<Row>& rows, ErrorCode code, std::span<const float> hidden = {}) {
    const auto before = std::pair(stage_->next_position({1}), stage_->next_position({2}));
    auto output = stage_->step({rows, hidden});
    ASSERT_FALSE(output.ok());
    EXPECT_EQ(output.error().code, code) << output.error().message;
    EXPECT_EQ(output.error().message.find('\n'), std::string::npos);
    EXPECT_EQ(std::pair(stage_->next_position({1}), stage_->next_position({2})), before);
  }

  std::filesystem::path file_;
  StageOptions options_;
  std::unique_ptr<Stage> stage_;
};

// The same rows with every kind of refused step between them give the same bits as without.
TEST_F(StageTest, RefusedStepsChangeNothing) {
  const auto prompt = prompt_of(20, 1);
  logits_of(rows_of({1}, 0, prompt, false));
  const auto expected = logits_of(rows_of({1}, 20, {7, 8, 9}, true));
  stage_->free_sequence({1});
  EXPECT_EQ(stage_->next_position({1}), 0u);

  logits_of(rows_of({1}, 0, prompt, false));
  expect_refused({}, ErrorCode::kInvalidArgument);
  expect_refused(rows_of({1}, 20, prompt_of(64, 2), false), ErrorCode::kInvalidArgument);
  expect_refused(rows_of({1}, 19, {7}, true), ErrorCode::kInvalidArgument);
  expect_refused(rows_of({1}, 21, {7}, true), ErrorCode::kInvalidArgument);
  expect_refused(rows_of({2}, 1, {7}, true), ErrorCode::kInvalidArgument);
  expect_refused({{{1}, 20, 7, {}}, {{1}, 20, 8, {}}}, ErrorCode::kInvalidArgument);
  expect_refused(rows_of({1}, 20, {-1}, true), ErrorCode::kInvalidArgument);
  expect_refused(rows_of({1}, 20, {1 << 30}, true), ErrorCode::kInvalidArgument);
  expect_refused({{{1}, 20, 7, 0u}}, ErrorCode::kInvalidArgument);
  expect_refused({{{0}, 0, 7, {}}}, ErrorCode::kInvalidArgument);
  expect_refused({{{2}, UINT32_MAX, 7, {}}}, ErrorCode::kInvalidArgument);
  const std::vector<float> hidden(256);
  expect_refused(rows_of({1}, 20, {7}, true), ErrorCode::kInvalidArgument, hidden);
  // A row of a good sequence goes down with the row of one too many.
  logits_of(rows_of({2}, 0, {5}, false));
  expect_refused({{{1}, 20, 7, {}}, {{3}, 0, 7, {}}}, ErrorCode::kResourceExhausted);
  EXPECT_EQ(stage_->next_position({3}), 0u);
  EXPECT_TRUE(same_bits(logits_of(rows_of({1}, 20, {7, 8, 9}, true)), expected));
}

TEST_F(StageTest, AFullKvRefusesAndGoesOnWhenSomethingIsFreed) {
  const auto prompt = prompt_of(240, 1);
  for (std::uint32_t first = 0; first < 240; first += 60) {
    logits_of(rows_of({1}, first, {prompt.begin() + first, prompt.begin() + first + 60}, false));
  }
  const auto tokens = prompt_of(30, 2);
  expect_refused(rows_of({2}, 0, tokens, true), ErrorCode::kResourceExhausted);
  expect_refused(rows_of({1}, 240, prompt_of(17, 3), true), ErrorCode::kInvalidArgument);  // beyond the context of 250
  logits_of(rows_of({1}, 240, {4, 5}, true));
  stage_->free_sequence({1});
  stage_->free_sequence({77});
  const auto found = logits_of(rows_of({2}, 0, tokens, true));
  auto fresh = load_stage(file_, true, true, options_);
  auto expected = fresh->step({rows_of({2}, 0, tokens, true), {}});
  ASSERT_TRUE(expected.ok());
  EXPECT_TRUE(same_bits(found, by_token(expected->logits[0])));
}

// More rows of logits than the stage computes at a time; best few and all.
TEST_F(StageTest, LogitsOfEveryRow) {
  const auto tokens = prompt_of(40, 4);
  auto rows = rows_of({1}, 0, tokens, false);
  for (Row& row : rows) row.logits = 3;
  rows[38].logits.reset();
  rows[39].logits = kAllLogits;
  auto output = stage_->step({rows, {}});
  ASSERT_TRUE(output.ok()) << output.error().message;
  ASSERT_EQ(output->logits.size(), 39u);
  for (std::uint32_t i = 0; i < 38; ++i) {
    const auto& logits = output->logits[i];
    ASSERT_EQ(logits.candidates.size(), 3u);
    const auto alone = logits_of({{{2}, i, tokens[i], kAllLogits}});
    EXPECT_EQ(logits.candidates[0].token, best_of(alone)) << i;
    EXPECT_EQ(logits.candidates[0].logit, alone[static_cast<std::size_t>(best_of(alone))]) << i;
  }
  EXPECT_EQ(output->logits[38].candidates.size(), 32000u);
}

TEST_F(StageTest, OnlyTheLastStageGivesLogitsAndOnlyTheFirstTakesTokens) {
  auto first = load_stage(cut_model(file_, {0, 4}), true, false, options_);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->layer_count(), 4u);
  auto refused = first->step({rows_of({1}, 0, {7}, true), {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  auto hidden = first->step({rows_of({1}, 0, {7, 8}, false), {}});
  ASSERT_TRUE(hidden.ok());
  ASSERT_EQ(hidden->hidden.size(), 2 * first->embedding_length());
  EXPECT_TRUE(hidden->logits.empty());
  auto last = load_stage(cut_model(file_, {4, 8}), false, true, options_);
  ASSERT_NE(last, nullptr);
  refused = last->step({rows_of({1}, 0, {7, 8}, true), std::span(hidden->hidden).first(256)});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(last->step({rows_of({1}, 0, {7, 8}, true), hidden->hidden}).ok());
}

// Truncated, mutated and foreign KV is refused, and what the stage holds besides is untouched.
TEST_F(StageTest, ImportOfBadKvIsRefused) {
  logits_of(rows_of({1}, 0, prompt_of(30, 1), false));
  auto kv = stage_->export_kv({1});
  ASSERT_TRUE(kv.ok()) << kv.error().message;
  EXPECT_EQ(stage_->export_kv({2}).error().code, ErrorCode::kNotFound);
  SplitMix64 random(1);
  const auto refused = [&](ByteSpan bytes) {
    auto status = stage_->import_kv({2}, bytes);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kCorrupt) << status.error().message;
    EXPECT_EQ(stage_->next_position({2}), 0u);
  };
  refused({});
  for (std::size_t length : {1u, 63u, 64u, 80u, 1000u}) refused(ByteSpan(*kv).first(length));
  refused(ByteSpan(*kv).first(kv->size() - 1));
  for (int i = 0; i < 200; ++i) {
    Bytes bytes = *kv;
    bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
    refused(bytes);
  }
  auto half = load_stage(cut_model(file_, {0, 4}), true, false, options_);
  ASSERT_TRUE(half->step({rows_of({1}, 0, {7, 8}, false), {}}).ok());
  refused(*half->export_kv({1}));

  ASSERT_TRUE(stage_->import_kv({2}, *kv).ok());
  EXPECT_EQ(stage_->next_position({2}), 30u);
  EXPECT_EQ(stage_->import_kv({3}, *kv).error().code, ErrorCode::kResourceExhausted);
  const auto a = logits_of({{{1}, 30, 5, kAllLogits}});
  EXPECT_TRUE(same_bits(a, logits_of({{{2}, 30, 5, kAllLogits}})));
}

TEST_F(StageTest, LoadingBadFilesIsRefused) {
  const auto& folder = models_folder();
  const auto expect_error = [&](const std::filesystem::path& path) {
    auto stage = Stage::load(path, true, true, options_);
    ASSERT_FALSE(stage.ok()) << path;
    EXPECT_EQ(stage.error().message.find('\n'), std::string::npos);
  };
  expect_error(folder / "missing.gguf");
  std::ofstream(folder / "garbage.gguf") << "this is no GGUF at all, it is a line of text";
  expect_error(folder / "garbage.gguf");
  const auto size = std::filesystem::file_size(file_);
  for (std::uintmax_t length : {std::uintmax_t{0}, std::uintmax_t{100}, size / 50, size / 2, size - 1}) {
    std::filesystem::copy_file(file_, folder / "short.gguf", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder / "short.gguf", length);
    expect_error(folder / "short.gguf");
  }
  options_.settings.sequences_max = 0;
  expect_error(file_);
  options_.settings.sequences_max = 256;
  expect_error(file_);
}

TEST_F(StageTest, AbandonedLoadIsCancelled) {
  options_.progress = [](float) { return false; };
  auto stage = Stage::load(file_, true, true, options_);
  ASSERT_FALSE(stage.ok());
  EXPECT_EQ(stage.error().code, ErrorCode::kCancelled);
}

TEST_F(StageTest, MemoryIsWhatTheBuffersTake) {
  const auto manifest = model::read_manifest(file_);
  ASSERT_TRUE(manifest.ok());
  const StageMemory memory = stage_->memory();
  EXPECT_GE(memory.weights_bytes, manifest->size_bytes());
  EXPECT_LT(memory.weights_bytes, manifest->size_bytes() * 5 / 4);
  EXPECT_EQ(memory.kv_bytes, manifest->stage_kv_bytes({0, 8}, 256, KvType::kF16));
  EXPECT_GT(memory.compute_bytes, 0u);
}

// A stage that waits for work does not spin, with more than one thread either.
TEST_F(StageTest, IdleTakesNoProcessorTime) {
  options_.threads = 2;
  auto stage = load_stage(file_, true, true, options_);
  ASSERT_TRUE(stage->step({rows_of({1}, 0, {7, 8}, true), {}}).ok());
  const auto cpu_seconds = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // what is measured: half a second of nothing
  EXPECT_LT(cpu_seconds() - before, 0.01);
}

TEST(KernelFamily, NamesArchitectureAndVersion) {
  const std::string family = kernel_family();
  EXPECT_NE(family.find("llama.cpp-"), std::string::npos) << family;
  EXPECT_EQ(family, kernel_family());
}

}  // namespace
}  // namespace shoal::engine::test
