// Goal: a pipeline of stages gives the bits of llama.cpp on the whole model, however the work is split and moved.
#include <algorithm>

#include "base/random.h"
#include "engine/kernel_cost.h"
#include "engine/stage_test_support.h"
#include "model/weight_types.h"

namespace shoal::engine::test {
namespace {

constexpr std::size_t kPromptTokens = 80;
constexpr std::size_t kNewTokens = 6;

// What plain llama.cpp says to a prompt: logits after the prompt and after each greedy token.
struct Expected {
  std::vector<Token> prompt;
  std::vector<Token> tokens;
  std::vector<std::vector<float>> logits;
};

Expected expect(Reference& reference, std::uint64_t seed) {
  reference.restart();
  Expected expected;
  expected.prompt = prompt_of(kPromptTokens, seed);
  expected.logits.push_back(reference.decode(expected.prompt));
  for (std::size_t i = 0; i < kNewTokens; ++i) {
    expected.tokens.push_back(best_of(expected.logits.back()));
    expected.logits.push_back(reference.decode({expected.tokens.back()}));
  }
  return expected;
}

// Where no kernels of this machine are exact for a model, its fast ones are held to this, and the test says so.
constexpr float kTolerance = 0.5f;  // of logits that spread over about 8

void check_row(const model::Logits& found, const std::vector<float>& expected, const char* where, bool exact = true) {
  const auto logits = by_token(found);
  const float difference = largest_difference(logits, expected);
  if (!exact) {
    EXPECT_LT(difference, kTolerance) << where;
    EXPECT_GT(expected[static_cast<std::size_t>(best_of(logits))],
              expected[static_cast<std::size_t>(best_of(expected))] - 2 * kTolerance)
        << where;
    return;
  }
  EXPECT_EQ(best_of(logits), best_of(expected)) << where;
  EXPECT_TRUE(same_bits(logits, expected)) << where << ": they differ by " << difference;
}

// Exact options, or those with the fastest kernels where this machine cannot be exact for the model.
StageOptions exact_if_possible(const std::filesystem::path& file) {
  StageOptions options = exact_options();
  auto stage = Stage::load(file, true, true, options);
  if (stage.ok()) return options;
  EXPECT_EQ(stage.error().code, ErrorCode::kUnsupported) << stage.error().message;
  std::printf("NOT EXACT on this machine, tolerance %.2f instead of equal bits: %s\n", static_cast<double>(kTolerance),
              stage.error().message.c_str());
  options.settings.exact = ExactMode::kOff;
  return options;
}

void prefill(Pipeline& pipeline, SequenceId sequence, const Expected& expected, std::size_t chunk) {
  for (std::size_t first = 0; first < expected.prompt.size(); first += chunk) {
    const std::size_t count = std::min(chunk, expected.prompt.size() - first);
    const std::vector<Token> tokens(expected.prompt.begin() + static_cast<std::ptrdiff_t>(first),
                                    expected.prompt.begin() + static_cast<std::ptrdiff_t>(first + count));
    const bool last = first + count == expected.prompt.size();
    const auto logits = pipeline.step(rows_of(sequence, static_cast<std::uint32_t>(first), tokens, last));
    if (last) {
      ASSERT_EQ(logits.size(), 1u);
      check_row(logits[0], expected.logits[0], "prompt", pipeline[0].exactness().exact);
    }
  }
}

// One token of each sequence in one micro-batch.
void decode(Pipeline& pipeline, const std::vector<SequenceId>& sequences, const std::vector<Expected>& expected,
            std::size_t index) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    rows.push_back(
        {sequences[i], static_cast<std::uint32_t>(kPromptTokens + index), expected[i].tokens[index], kAllLogits});
  }
  const auto logits = pipeline.step(rows);
  ASSERT_EQ(logits.size(), sequences.size());
  for (std::size_t i = 0; i < sequences.size(); ++i)
    check_row(logits[i], expected[i].logits[index + 1], "decode", pipeline[0].exactness().exact);
}

struct Case {
  const char* architecture;
  const char* type;
  std::vector<std::uint32_t> stages;
};

void PrintTo(const Case& param, std::ostream* out) {
  *out << param.architecture << " " << param.type;
}

class Exactness : public testing::TestWithParam<Case> {};

// For each number of stages: one sequence in some chunk size, then four at once with other chunk sizes, moved to fresh
// stages in the middle.
TEST_P(Exactness, PipelineHasTheBitsOfTheWholeModel) {
  const Case& param = GetParam();
  const auto file = make_tiny_model(param.architecture, param.type);
  Reference reference(file);
  std::vector<Expected> expected;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) expected.push_back(expect(reference, seed));
  const StageOptions options = exact_if_possible(file);
  const std::size_t chunks[] = {63, 1, 5, 17, 40, 2, 63, 33};
  std::size_t next_chunk = 0;
  for (std::uint32_t count : param.stages) {
    SCOPED_TRACE(std::to_string(count) + " stages");
    Pipeline pipeline(file, count, options);
    for (std::size_t i = 0; i < pipeline.size(); ++i) {
      EXPECT_TRUE(pipeline[i].exactness().exact || options.settings.exact == ExactMode::kOff)
          << pipeline[i].exactness().reason;
    }
    prefill(pipeline, {9}, expected[0], chunks[next_chunk++ % std::size(chunks)]);
    for (std::size_t i = 0; i < kNewTokens; ++i) decode(pipeline, {{9}}, expected, i);

    const std::vector<SequenceId> sequences = {{1}, {2}, {3}, {4}};
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      prefill(pipeline, sequences[i], expected[i], chunks[next_chunk++ % std::size(chunks)]);
    }
    for (std::size_t i = 0; i < kNewTokens; ++i) {
      if (i == 1) {
        for (std::size_t s = 0; s < pipeline.size(); ++s) pipeline[s].free_sequence({9});
      }
      if (i == 3 && pipeline.size() <= 2) pipeline.move_to_fresh_stages(sequences);
      decode(pipeline, sequences, expected, i);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Exactness,
                         testing::Values(Case{"llama", "Q4_0", {1, 2, 3, 4, 8}}, Case{"llama", "Q5_K", {2, 3}},
                                         Case{"llama", "Q6_K", {2, 4}}, Case{"llama", "Q8_0", {2, 8}},
                                         Case{"llama", "Q4_K_M", {1, 2, 3}}, Case{"llama", "F16", {2, 3}},
                                         Case{"qwen3", "Q4_0", {2, 8}}, Case{"qwen3", "Q4_K_M", {2, 3}},
                                         Case{"gemma3", "Q4_0", {1, 2, 4}}, Case{"gemma3", "Q8_0", {2, 3}},
                                         Case{"phi3", "Q5_K", {2, 8}}, Case{"phi3", "Q4_K_M", {1, 3}},
                                         Case{"qwen3moe", "Q4_0", {2, 8}}, Case{"qwen3moe", "Q6_K", {1, 3}},
                                         Case{"qwen3moe", "Q4_K_M", {2}}),
                         [](const testing::TestParamInfo<Case>& test) {
                           return std::string(test.param.architecture) + "_" + test.param.type;
                         });

// A sequence's bits do not depend on companions that come and go: their cells leave no holes that would change the
// order in which attention sums.
TEST(ExactnessOverTime, CompanionsThatEndDoNotChangeASequence) {
  const auto file = make_tiny_model("llama", "Q4_0");
  auto options = exact_options();
  options.settings.kv_tokens_total = 256;
  options.settings.context_tokens_max = 256;
  Pipeline pipeline(file, 1, options);
  Reference reference(file);
  const Expected expected = expect(reference, 1);
  std::uint64_t next = 100;
  SequenceId companion{next};
  pipeline.step(rows_of(companion, 0, prompt_of(50, next), false));
  prefill(pipeline, {1}, expected, 63);
  for (std::size_t i = 0; i < kNewTokens; ++i) {
    // Its cells lie below sequence 1's: put there, the next row would be summed before the prompt.
    pipeline[0].free_sequence(companion);
    decode(pipeline, {{1}}, {expected}, i);
    // 50 to 55 cells a time: 256 are soon too few without copying together.
    companion = {++next};
    pipeline.step(rows_of(companion, 0, prompt_of(50 + i, next), false));
  }
}

// The attention for long contexts (512 KV cells and more) with one and two threads, one row and many.
TEST(ExactnessOverTime, LongContextsAreTheSameOnOneAndTwoThreads) {
  const auto file = make_tiny_model("llama", "Q4_0");
  Reference reference(file);
  const auto prompt = prompt_of(700, 5);
  std::vector<std::vector<float>> expected;
  expected.push_back(reference.decode(prompt));
  expected.push_back(reference.decode({best_of(expected[0])}));
  for (std::uint32_t threads : {1u, 2u}) {
    Pipeline pipeline(file, 1, exact_options(threads));
    std::vector<model::Logits> logits;
    for (std::uint32_t first = 0; first < 700; first += 50) {
      const std::vector<Token> tokens(prompt.begin() + first, prompt.begin() + first + 50);
      logits = pipeline.step(rows_of({1}, first, tokens, first == 650));
    }
    ASSERT_EQ(logits.size(), 1u);
    check_row(logits[0], expected[0], "prompt of 700");
    logits = pipeline.step(rows_of({1}, 700, {best_of(expected[0])}, true));
    ASSERT_EQ(logits.size(), 1u);
    check_row(logits[0], expected[1], "one row behind 700");
  }
}

// Drafts: rows of tokens that turn out wrong, in company and alone, dropped again: the next rows have the bits of a
// sequence that never had them.
TEST(ExactnessOverTime, TruncatedDraftsLeaveNoTrace) {
  for (const char* architecture : {"llama", "gemma3"}) {
    const auto file = make_tiny_model(architecture, "Q4_0");
    Reference reference(file);
    const std::vector<Expected> expected = {expect(reference, 1), expect(reference, 2)};
    Pipeline pipeline(file, 2, exact_options());
    prefill(pipeline, {1}, expected[0], 63);
    prefill(pipeline, {2}, expected[1], 17);
    for (std::size_t i = 0; i < kNewTokens; ++i) {
      std::vector<Row> rows;
      const auto position = static_cast<std::uint32_t>(kPromptTokens + i);
      const std::size_t companions = i % 3 == 2 ? 1 : 2;  // alone its cells are at the top, in company below it
      for (std::size_t s = 0; s < companions; ++s) {
        rows.push_back({{s + 1}, position, expected[s].tokens[i], kAllLogits});
        for (std::uint32_t draft = 1; draft <= 1 + i % 4; ++draft) {
          rows.push_back({{s + 1}, position + draft, static_cast<Token>(100 * draft + i), kAllLogits});
        }
      }
      const auto logits = pipeline.step(rows);
      ASSERT_EQ(logits.size(), rows.size());
      for (std::size_t s = 0; s < companions; ++s) {
        check_row(logits[s * (2 + i % 4)], expected[s].logits[i + 1], "row before drafts");
        for (std::size_t stage = 0; stage < pipeline.size(); ++stage) {
          ASSERT_TRUE(pipeline[stage].truncate_sequence({s + 1}, position + 1).ok());
          EXPECT_EQ(pipeline[stage].next_position({s + 1}), position + 1);
        }
      }
      if (companions == 1) decode(pipeline, {{2}}, {expected[1]}, i);
    }
  }
}

// Prefixes: a sequence that begins in another's cells has its own bits, while that one goes on, ends, and is copied
// away.
TEST(ExactnessOverTime, ForksHaveTheBitsOfTheirOwn) {
  for (const char* architecture : {"llama", "gemma3"}) {
    SCOPED_TRACE(architecture);
    const auto file = make_tiny_model(architecture, "Q4_0");
    Reference reference(file);
    const std::vector<Expected> expected = {expect(reference, 1), expect(reference, 2)};
    Pipeline pipeline(file, 2, exact_options());
    prefill(pipeline, {1}, expected[0], 63);
    prefill(pipeline, {2}, expected[1], 63);
    decode(pipeline, {{1}, {2}}, expected, 0);
    const auto prompt_row = static_cast<std::uint32_t>(kPromptTokens - 1);
    for (std::size_t stage = 0; stage < pipeline.size(); ++stage) {
      ASSERT_TRUE(pipeline[stage].fork_sequence({1}, {3}, prompt_row).ok());
      ASSERT_TRUE(pipeline[stage].fork_sequence({3}, {4}, prompt_row).ok()) << "a fork of a fork";
      EXPECT_EQ(pipeline[stage].next_position({3}), prompt_row);
    }
    for (const SequenceId fork : {SequenceId{3}, SequenceId{4}}) {
      const auto logits = pipeline.step(rows_of(fork, prompt_row, {expected[0].prompt.back()}, true));
      ASSERT_EQ(logits.size(), 1u);
      check_row(logits[0], expected[0].logits[0], "the last row of a forked prompt");
    }
    decode(pipeline, {{3}}, {expected[0]}, 0);
    decode(pipeline, {{1}, {3}, {2}}, {expected[0], expected[0], expected[1]}, 1);
    pipeline[0].free_sequence({1});
    pipeline[1].free_sequence({1});
    decode(pipeline, {{3}, {2}}, {expected[0], expected[1]}, 2);
    for (std::size_t stage = 0; stage < pipeline.size(); ++stage) {
      ASSERT_TRUE(pipeline[stage].truncate_sequence({3}, prompt_row - 20).ok()) << "into the shared cells";
    }
    const std::vector<Token> tail(expected[0].prompt.end() - 21, expected[0].prompt.end());
    const auto logits = pipeline.step(rows_of({3}, prompt_row - 20, tail, true));
    ASSERT_EQ(logits.size(), 1u);
    check_row(logits[0], expected[0].logits[0], "after a truncation into shared cells");
    decode(pipeline, {{4}, {3}}, {expected[0], expected[0]}, 0);
    decode(pipeline, {{2}}, {expected[1]}, 3);
  }
}

// Goal: forks count as if each had cells of its own, so that copying them apart always finds room.
TEST(ExactnessOverTime, ForkedCellsAreCountedForEach) {
  const auto file = make_tiny_model("llama", "Q4_0");
  Reference reference(file);
  const Expected expected = expect(reference, 1);
  auto options = exact_options();
  options.settings.kv_tokens_total = 256;
  options.settings.context_tokens_max = 256;
  Pipeline pipeline(file, 1, options);
  prefill(pipeline, {1}, expected, 63);
  const auto prompt_row = static_cast<std::uint32_t>(kPromptTokens - 1);
  Stage& stage = pipeline[0];
  ASSERT_TRUE(stage.fork_sequence({1}, {2}, prompt_row).ok());
  EXPECT_EQ(stage.fork_sequence({1}, {2}, prompt_row).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(stage.fork_sequence({9}, {3}, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(stage.fork_sequence({1}, {3}, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(stage.fork_sequence({1}, {3}, prompt_row + 2).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(stage.fork_sequence({1}, {3}, 20).ok());
  EXPECT_EQ(stage.fork_sequence({1}, {4}, prompt_row).error().code, ErrorCode::kResourceExhausted)
      << "80 + 79 + 20 + 79";
  // Companions come and go until everything has been copied out and back.
  for (std::uint64_t companion = 100; companion < 112; ++companion) {
    pipeline.step(rows_of({companion}, 0, prompt_of(50, companion), false));
    stage.free_sequence({companion});
  }
  const auto logits = pipeline.step(rows_of({2}, prompt_row, {expected.prompt.back()}, true));
  ASSERT_EQ(logits.size(), 1u);
  check_row(logits[0], expected.logits[0], "a fork that was copied away");
  decode(pipeline, {{1}, {2}}, {expected, expected}, 0);
}

// Goal: truncations are not what fills the KV: drafts come and go a hundred times in one that hardly holds the text.
TEST(ExactnessOverTime, TruncatedCellsAreUsedAgain) {
  const auto file = make_tiny_model("llama", "Q4_0");
  auto options = exact_options();
  options.settings.kv_tokens_total = 192;
  options.settings.context_tokens_max = 192;
  auto stage = load_stage(file, true, true, options);
  ASSERT_TRUE(stage->step({rows_of({1}, 0, prompt_of(60, 1), false), {}}).ok());
  ASSERT_TRUE(stage->step({rows_of({2}, 0, prompt_of(50, 2), false), {}}).ok());
  for (std::uint32_t i = 0; i < 100; ++i) {
    std::vector<Row> rows = rows_of({1}, 60, prompt_of(20, i), false);
    const auto others = rows_of({2}, 50, prompt_of(20, i + 1), false);
    rows.insert(rows.end(), others.begin(), others.end());
    const auto output = stage->step({rows, {}});
    ASSERT_TRUE(output.ok()) << i << ": " << output.error().message;
    ASSERT_TRUE(stage->truncate_sequence({1}, 60).ok());
    ASSERT_TRUE(stage->truncate_sequence({2}, 50).ok());
  }
  EXPECT_TRUE(stage->truncate_sequence({1}, 60).ok()) << "nothing to drop";
  EXPECT_FALSE(stage->truncate_sequence({1}, 61).ok());
  EXPECT_FALSE(stage->truncate_sequence({1}, 0).ok());
  EXPECT_FALSE(stage->truncate_sequence({3}, 1).ok());
}

TEST(ExactnessOverTime, Q8KvIsExactToo) {
  const auto file = make_tiny_model("llama", "Q4_0");
  Reference reference(file, KvType::kQ8_0);
  const Expected expected = expect(reference, 2);
  auto options = exact_options();
  options.settings.kv_type = KvType::kQ8_0;
  Pipeline pipeline(file, 2, options);
  prefill(pipeline, {1}, expected, 7);
  for (std::size_t i = 0; i < kNewTokens; ++i) {
    if (i == 2) pipeline.move_to_fresh_stages({{1}});
    decode(pipeline, {{1}}, {expected}, i);
  }
}

// The proof can fail: fast kernels that are known to differ on this machine are found out by it.
TEST(ExactnessProof, FindsKernelsThatDiffer) {
  const auto file = make_tiny_model("llama", "F16");
  auto options = exact_options();
  options.settings.exact = ExactMode::kOff;
  auto stage = load_stage(file, true, true, options);
  ASSERT_NE(stage, nullptr);
  const auto manifest = model::read_manifest(file);
  const bool should_differ = choose_exact_kernels(*manifest).left_out.find("F16") != std::string::npos;
  EXPECT_FALSE(stage->exactness().exact);  // not even where the stage passes: it promises nothing about other cuts
  const std::string& reason = stage->exactness().reason;
  EXPECT_EQ(reason.find("a row differs") != std::string::npos, should_differ) << reason;
}

TEST(ExactnessProof, AutoTakesExactKernelsAndSaysWhatItLeftOut) {
  for (const char* type : {"Q4_0", "Q4_K_M", "F16"}) {
    const auto file = make_tiny_model("llama", type);
    auto options = exact_options();
    options.settings.exact = ExactMode::kAuto;
    auto stage = load_stage(file, true, true, options);
    ASSERT_NE(stage, nullptr);
    const std::string left_out = choose_exact_kernels(*model::read_manifest(file)).left_out;
    const auto& report = stage->exactness();
    EXPECT_NE(report.reason.find(report.exact ? "proven" : "not exact"), std::string::npos) << report.reason;
    EXPECT_TRUE(!report.exact || report.reason.find(left_out) != std::string::npos) << report.reason;
  }
}

// What the coordinator asks for: a cost exactly where kernels have to be left out, weighted by bytes.
TEST(KernelCostOf, IsMeasuredWhereKernelsDiffer) {
  for (const char* type : {"Q4_0", "Q4_K_M", "F16"}) {
    const auto manifest = model::read_manifest(make_tiny_model("llama", type));
    const KernelCost cost = measure_kernel_cost(model::weight_types(*manifest));
    EXPECT_EQ(cost.measured, !choose_exact_kernels(*manifest).left_out.empty()) << type << ": " << cost.left_out;
    EXPECT_EQ(cost.measured, !cost.left_out.empty());
    EXPECT_GE(cost.cost, 0);
    EXPECT_TRUE(cost.measured || cost.cost == 0);
  }
}

// A node that ends does not wait for a measurement: it is asked before each one.
TEST(KernelCostOf, StopsWhenAsked) {
  const auto manifest = model::read_manifest(make_tiny_model("llama", "Q4_K_M"));
  const auto types = model::weight_types(*manifest);
  int asked = 0;
  EXPECT_EQ(measure_kernel_cost(types, [&asked] { return ++asked > 1; }), KernelCost{});
  EXPECT_EQ(asked, 2);
}

TEST(KernelCostOf, LeavesUnknownTypesAside) {
  const std::vector<WeightType> types = {{4, 1000}, {9999, 1000}, {UINT32_MAX, UINT64_MAX}};  // 4: removed from ggml
  EXPECT_EQ(measure_kernel_cost(types), KernelCost{});
  EXPECT_EQ(measure_kernel_cost({}), KernelCost{});
}

}  // namespace
}  // namespace shoal::engine::test
