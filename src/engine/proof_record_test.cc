// Goal: what was proven is not computed again, what was not is, and a stage that differs is found out either way. How:
// the record alone on made-up kinds; the kinds of real cuts; stages of a small model, one after the other.
#include "engine/proof_record.h"

#include <fstream>
#include <functional>

#include <gmock/gmock.h>

#include "engine/exactness.h"
#include "engine/proof_subject.h"
#include "engine/stage_test_support.h"

namespace shoal::engine::test {
namespace {

Digest kind(std::uint8_t number) {
  Digest digest;
  digest.bytes[0] = number;
  return digest;
}

// A stage in the middle: these kinds of layers, hidden states in.
ProofSubject middle(std::set<Digest> layers, const std::string& name = "layers 0-3") {
  return {kind(0), std::move(layers), std::nullopt, {kind(100)}, name};
}
// A last stage: `end` is its last layer, of kind `last`, with the output.
ProofSubject last(std::set<Digest> layers, Digest last_layer, Digest end) {
  return {kind(0), std::move(layers), last_layer, {kind(100), end}, "layers 4-7"};
}

TEST(ProofRecordOf, KnowsKindsOneByOne) {
  ProofRecord record;
  EXPECT_EQ(record.find(middle({kind(1)})).depth, ProofDepth::kFull);
  record.note_proven(middle({kind(1), kind(2)}));
  EXPECT_EQ(record.find(middle({kind(1), kind(2)})).depth, ProofDepth::kSpot);
  EXPECT_EQ(record.find(middle({kind(2)})).depth, ProofDepth::kSpot);
  EXPECT_EQ(record.find(middle({kind(2)})).when, "layers 0-3");
  EXPECT_EQ(record.find(middle({kind(1), kind(3)})).depth, ProofDepth::kFull);
  record.note_proven(middle({kind(3)}, "layers 4-7"));
  EXPECT_EQ(record.find(middle({kind(1), kind(3)})).depth, ProofDepth::kSpot);
  EXPECT_EQ(record.find(middle({kind(1), kind(3)})).when, "layers 0-3 and layers 4-7");
}

TEST(ProofRecordOf, EndsAreTheirOwnKinds) {
  ProofRecord record;
  record.note_proven(middle({kind(1)}));
  EXPECT_EQ(record.find(last({kind(1)}, kind(2), kind(50))).depth, ProofDepth::kFull) << "its last layer is unknown";
  EXPECT_EQ(record.find(last({kind(1)}, kind(1), kind(50))).depth, ProofDepth::kEnds);
  record.note_proven(last({kind(1)}, kind(2), kind(50)));
  EXPECT_EQ(record.find(last({kind(1)}, kind(2), kind(50))).depth, ProofDepth::kSpot);
  EXPECT_EQ(record.find(last({}, kind(2), kind(50))).depth, ProofDepth::kSpot);
  EXPECT_EQ(record.find(last({kind(1)}, kind(1), kind(51))).depth, ProofDepth::kEnds) << "another output";
  // A last layer drops rows: in the middle of a stage it has not been seen.
  EXPECT_EQ(record.find(middle({kind(2)})).depth, ProofDepth::kFull);
}

TEST(ProofRecordOf, AnotherSettingIsUnknown) {
  ProofRecord record;
  record.note_proven(middle({kind(1)}));
  ProofSubject other = middle({kind(1)});
  other.setting = kind(9);
  EXPECT_EQ(record.find(other).depth, ProofDepth::kFull);
  record.forget(other);
  EXPECT_EQ(record.find(middle({kind(1)})).depth, ProofDepth::kSpot);
  record.forget(middle({}));
  EXPECT_EQ(record.find(middle({kind(1)})).depth, ProofDepth::kFull);
}

TEST(ProofRecordOf, ADifferenceIsOfStagesThatHaveAllOfItsKinds) {
  ProofRecord record;
  record.note_difference(middle({kind(1), kind(2)}), "a row differs");
  EXPECT_EQ(record.find(middle({kind(1)})).depth, ProofDepth::kFull);
  const auto known = record.find(middle({kind(1), kind(2), kind(3)}));
  EXPECT_EQ(known.depth, ProofDepth::kSpot);
  EXPECT_EQ(known.difference, "a row differs");
}

TEST(ProofRecordOf, IsBounded) {
  ProofRecord record;
  for (std::size_t i = 0; i < 3 * ProofRecord::kSettingsMax; ++i) {
    ProofSubject subject = middle({kind(1)});
    subject.setting = kind(static_cast<std::uint8_t>(i));
    record.note_proven(subject);
    EXPECT_EQ(record.find(subject).depth, ProofDepth::kSpot);
  }
  EXPECT_EQ(record.find(middle({kind(1)})).depth, ProofDepth::kFull) << "the first setting is forgotten";
  std::size_t known = 0;
  const auto numbered = [](std::size_t i) {
    Digest digest = kind(static_cast<std::uint8_t>(i));
    digest.bytes[1] = static_cast<std::uint8_t>(i >> 8);
    return middle({digest});
  };
  for (std::size_t i = 0; i < 3 * ProofRecord::kKindsMax; ++i) record.note_proven(numbered(i));
  for (std::size_t i = 0; i < 3 * ProofRecord::kKindsMax; ++i) {
    known += record.find(numbered(i)).depth == ProofDepth::kSpot ? 1 : 0;
  }
  EXPECT_GT(known, 0u);
  EXPECT_LE(known, ProofRecord::kKindsMax);
}

InstanceOptions instance_options(bool is_first, bool is_last) {
  InstanceOptions options;
  options.is_first = is_first;
  options.is_last = is_last;
  options.settings = exact_options().settings;
  options.kernels.exact = true;
  return options;
}

ProofSubject subject_of(const std::filesystem::path& file, LayerRange range, const InstanceOptions& options) {
  return proof_subject(*model::read_manifest(cut_model(file, range)), options);
}

TEST(ProofSubjectOf, LayersOfOneShapeAreOneKind) {
  const auto file = make_tiny_model("llama", "Q4_0");
  const auto options = instance_options(false, false);
  const auto first = subject_of(file, {0, 3}, options);
  const auto second = subject_of(file, {3, 5}, options);
  EXPECT_EQ(first.setting, second.setting);
  EXPECT_EQ(first.layers, second.layers);
  EXPECT_EQ(first.ends, second.ends);
  EXPECT_EQ(first.layers.size(), 1u);
  EXPECT_EQ(second.name, "layers 3-4");
  const auto end = subject_of(file, {5, 8}, instance_options(false, true));
  EXPECT_EQ(end.setting, first.setting);
  EXPECT_EQ(end.layers, first.layers);
  EXPECT_EQ(end.last_layer, *first.layers.begin());
  EXPECT_EQ(end.ends.size(), 2u);
}

// Types that change from layer to layer, and windows that only flags in the metadata tell.
TEST(ProofSubjectOf, LayersThatDifferAreKindsOfTheirOwn) {
  const auto options = instance_options(false, false);
  EXPECT_GT(subject_of(make_tiny_model("llama", "Q4_K_M"), {0, 8}, options).layers.size(), 1u);
  EXPECT_EQ(subject_of(make_tiny_model("gemma3", "Q4_0"), {0, 12}, options).layers.size(), 2u);
  EXPECT_NE(subject_of(make_tiny_model("llama", "Q4_0"), {0, 3}, options).layers,
            subject_of(make_tiny_model("llama", "Q5_K"), {0, 3}, options).layers);
}

TEST(ProofSubjectOf, EverySettingCounts) {
  const auto file = make_tiny_model("llama", "Q4_0");
  const auto options = instance_options(false, false);
  const auto plain = subject_of(file, {0, 3}, options);
  const std::vector<std::function<void(InstanceOptions&)>> changes = {
      [](InstanceOptions& o) { o.threads = 2; },
      [](InstanceOptions& o) { o.pinned_cpus = {0}; },
      [](InstanceOptions& o) { o.kernels.exact = false; },
      [](InstanceOptions& o) { o.settings.exact = ExactMode::kAuto; },
      [](InstanceOptions& o) { o.settings.kv_type = KvType::kQ8_0; },
      [](InstanceOptions& o) { o.settings.kv_tokens_total = 256; },
      [](InstanceOptions& o) { o.settings.context_tokens_max = 256; },
      [](InstanceOptions& o) { o.settings.sequences_max = 7; },
  };
  std::set<Digest> settings = {plain.setting};
  for (const auto& change : changes) {
    InstanceOptions other = options;
    change(other);
    settings.insert(subject_of(file, {0, 3}, other).setting);
  }
  EXPECT_EQ(settings.size(), changes.size() + 1);
  settings.insert(subject_of(make_tiny_model("qwen3", "Q4_0"), {0, 3}, options).setting);
  EXPECT_EQ(settings.size(), changes.size() + 2);
}

// --- stages --------------------------------------------------------------------------------------------------------

constexpr const char* kAll = "proven in micro-batches of 1, 2, 4, 5, 8 and 63 rows;";

class Proofs : public testing::Test {
 protected:
  std::string reason(LayerRange range, const StageOptions& options) const {
    const auto stage = load_stage(cut_model(file_, range), range.first == 0, range.last == 8, options);
    EXPECT_EQ(stage->exactness().exact, options.settings.exact != ExactMode::kOff);
    return stage->exactness().reason;
  }
  StageOptions options(std::uint32_t threads = 1) {
    StageOptions options = exact_options(threads);
    options.proofs = &record_;
    return options;
  }

  ProofRecord record_;
  std::filesystem::path file_ = make_tiny_model("llama", "Q4_0");
};

TEST_F(Proofs, AreNotComputedTwice) {
  EXPECT_THAT(reason({0, 3}, options()), testing::StartsWith(kAll));
  EXPECT_THAT(reason({3, 5}, options()), testing::HasSubstr("when layers 0-2 were loaded, and of 1, 4 and 5 rows now"));
  EXPECT_THAT(reason({5, 8}, options()), testing::HasSubstr("layers 0-2 were loaded, and of 1, 2, 5, 8 and 16 rows"));
  EXPECT_THAT(reason({6, 8}, options()),
              testing::HasSubstr("when layers 0-2 and layers 5-7 were loaded, and of 1, 4 and 5 rows now"));
  EXPECT_THAT(reason({3, 5}, exact_options()), testing::StartsWith(kAll)) << "no record";
}

TEST_F(Proofs, AreComputedUnderAnotherSetting) {
  EXPECT_THAT(reason({0, 3}, options()), testing::StartsWith(kAll));
  EXPECT_THAT(reason({0, 3}, options(2)), testing::StartsWith(kAll));
  StageOptions other = options();
  other.settings.kv_type = KvType::kQ8_0;
  EXPECT_THAT(reason({0, 3}, other), testing::StartsWith(kAll));
  other = options();
  other.settings.exact = ExactMode::kAuto;
  EXPECT_THAT(reason({0, 3}, other), testing::StartsWith(kAll));
  EXPECT_THAT(reason({0, 3}, options()), testing::HasSubstr("rows now")) << "and what was known still is";
}

TEST_F(Proofs, ALayerOfANewKindIsProven) {
  file_ = make_tiny_model("gemma3", "Q4_0");  // every sixth layer sees everything
  EXPECT_THAT(reason({0, 3}, options()), testing::StartsWith(kAll));
  EXPECT_THAT(reason({3, 7}, options()), testing::StartsWith(kAll));
  EXPECT_THAT(reason({7, 12}, options()), testing::HasSubstr("rows now"));
}

// The proof is of the kernels, and weights are not: numbers that are none are found whatever is known.
TEST_F(Proofs, WeightsThatGiveNoNumbersAreRefused) {
  EXPECT_THAT(reason({0, 3}, options()), testing::StartsWith(kAll));
  const TemporaryFolder folder;
  const auto damaged = folder.path() / "damaged.gguf";
  std::filesystem::copy_file(cut_model(file_, {3, 6}), damaged);
  const auto manifest = model::read_manifest(damaged);
  const model::Tensor* tensor = manifest->find_tensor("blk.1.ffn_down.weight");
  ASSERT_NE(tensor, nullptr);
  std::fstream out(damaged, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(static_cast<std::streamoff>(tensor->offset));
  out << std::string(tensor->size_bytes, '\xff');  // as scales of Q4_0 blocks: NaN
  out.close();
  const auto stage = Stage::load(damaged, false, false, options());
  ASSERT_FALSE(stage.ok());
  EXPECT_EQ(stage.error().code, ErrorCode::kCorrupt) << stage.error().message;
}

// Kernels that differ, taken where exact ones should be: tinyBLAS on F16, where this machine has it.
class ProofsOfOthers : public Proofs {
 protected:
  void SetUp() override {
    file_ = make_tiny_model("llama", "F16");
    manifest_ = *model::read_manifest(file_);
    if (choose_exact_kernels(manifest_).left_out.find("F16") == std::string::npos) {
      GTEST_SKIP() << "all kernels for F16 are exact here";
    }
    auto loaded = LlamaInstance::load(file_, fast_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    instance_ = std::move(*loaded);
  }
  std::optional<std::string> difference() {
    const auto result = prove(*instance_, manifest_, fast_, &record_);
    EXPECT_TRUE(result.ok());
    return result.ok() ? result->difference : std::nullopt;
  }

  model::Manifest manifest_;
  InstanceOptions fast_ = [] {
    InstanceOptions options = instance_options(true, true);
    options.kernels = {};
    return options;
  }();
  std::unique_ptr<LlamaInstance> instance_;
};

TEST_F(ProofsOfOthers, AFailedProofIsNoFact) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(difference().value_or(""), testing::HasSubstr("a row differs"));
    EXPECT_EQ(record_.find(proof_subject(manifest_, fast_)).depth, ProofDepth::kFull);
  }
}

TEST_F(ProofsOfOthers, AFactThatIsWrongIsFoundOutAndForgotten) {
  record_.note_proven(proof_subject(manifest_, fast_));
  EXPECT_THAT(difference().value_or(""), testing::HasSubstr("between micro-batches of"));
  EXPECT_EQ(record_.find(proof_subject(manifest_, fast_)).depth, ProofDepth::kFull);
}

TEST_F(ProofsOfOthers, WhereNothingHangsOnItADifferenceIsToldAgain) {
  StageOptions off = options();
  off.settings.exact = ExactMode::kOff;
  EXPECT_THAT(reason({0, 8}, off), testing::AllOf(testing::HasSubstr("not exact"), testing::HasSubstr("63")));
  EXPECT_THAT(reason({0, 8}, off), testing::AllOf(testing::HasSubstr("not exact"), testing::HasSubstr("a row differs"),
                                                  testing::HasSubstr("(when layers 0-7 were loaded)")));
}

}  // namespace
}  // namespace shoal::engine::test
