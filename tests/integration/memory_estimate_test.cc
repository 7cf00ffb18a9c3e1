// Goal: a stage never takes more memory than the planner thinks, nor much less. How: stages of several models are cut,
// loaded and measured at several KV sizes and types; planned is what the planner would say of the same layer range.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/model_source.h"
#include "engine/stage.h"
#include "model/test_models.h"

namespace shoal::test {
namespace {

struct Measured {
  StageMemory memory;
  std::uint64_t planned = 0;
};

// As the planner adds it up (plan/planner.cc, stage_bytes).
std::uint64_t planned_bytes(const plan::ModelShape& shape, LayerRange range) {
  std::uint64_t bytes = shape.every_stage_bytes;
  for (std::uint32_t i = range.first; i < range.last; ++i)
    bytes += shape.layer_weight_bytes[i] + shape.layer_kv_bytes[i];
  if (range.first == 0) bytes += shape.first_stage_bytes;
  if (range.last == shape.layer_count) bytes += shape.last_stage_bytes;
  return bytes;
}

Measured measure(const model::Manifest& manifest, LayerRange range, const StageSettings& settings,
                 const std::filesystem::path& shard) {
  Measured measured;
  measured.planned = planned_bytes(coordinator::model_shape(manifest, settings), range);
  auto cut = model::plan_cut(manifest, range);
  EXPECT_TRUE(cut.ok());
  auto written = model::write_shard(manifest, *cut, shard);
  EXPECT_TRUE(written.ok());
  engine::StageOptions options;
  options.settings = settings;
  options.threads = 1;
  auto stage = engine::Stage::load(shard, range.first == 0, range.last == manifest.layer_count, options);
  EXPECT_TRUE(stage.ok()) << stage.error().message;
  if (stage.ok()) measured.memory = (*stage)->memory();
  return measured;
}

// A whole model, and the three stages of it that a pipeline has: first, middle, last.
std::vector<LayerRange> ranges_of(const model::Manifest& manifest) {
  std::uint32_t layers = manifest.layer_count;
  std::uint32_t a = layers / 3;
  while (!manifest.cut_allowed[a]) ++a;
  std::uint32_t b = 2 * layers / 3;
  while (!manifest.cut_allowed[b]) ++b;
  return {{0, layers}, {0, a}, {a, b}, {b, layers}};
}

void expect_planned_holds(const std::filesystem::path& file, const std::filesystem::path& shard) {
  const auto manifest = model::manifest_of(file);
  for (auto [tokens, sequences, type, exact] :
       {std::tuple{300u, 8u, KvType::kF16, ExactMode::kOff}, std::tuple{2048u, 40u, KvType::kQ8_0, ExactMode::kOff},
        std::tuple{8192u, 8u, KvType::kF16, ExactMode::kOn}}) {
    StageSettings settings;
    settings.kv_tokens_total = tokens;
    settings.sequences_max = sequences;
    settings.kv_type = type;
    settings.exact = exact;
    for (LayerRange range : ranges_of(manifest)) {
      const auto measured = measure(manifest, range, settings, shard);
      const std::uint64_t total = measured.memory.total();
      const auto what = fmt::format("{} {} {} {}: weights {}, KV {}, compute {}; planned {}", manifest.architecture,
                                    range.text(), tokens, to_string(type), format_size(measured.memory.weights_bytes),
                                    format_size(measured.memory.kv_bytes), format_size(measured.memory.compute_bytes),
                                    format_size(measured.planned));
      EXPECT_LE(total, measured.planned) << what;
      EXPECT_LE(measured.planned, total + total / 2 + (16u << 20)) << what;
    }
  }
}

class MemoryEstimate : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Architectures, MemoryEstimate,
                         ::testing::Values("llama", "qwen3", "gemma3", "phi3", "qwen3moe", "olmoe"));

TEST_P(MemoryEstimate, IsNeverLessThanMeasured) {
  model::TemporaryFolder folder;
  auto options = model::small_model(GetParam());
  if (options.architecture == "gemma3") options.layers = 24;
  expect_planned_holds(model::write_model(options, folder / "model.gguf").at(0), folder / "shard.gguf");
}

// A model of real size, where somebody has one: SHOAL_MEMORY_MODEL=FILE.
TEST(MemoryEstimateOf, HoldsForAModelOfRealSize) {
  const char* file = std::getenv("SHOAL_MEMORY_MODEL");
  if (file == nullptr) GTEST_SKIP() << "SHOAL_MEMORY_MODEL names no model";
  model::TemporaryFolder folder;
  expect_planned_holds(file, folder / "shard.gguf");
}

}  // namespace
}  // namespace shoal::test
