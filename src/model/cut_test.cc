#include "model/cut.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include <gmock/gmock.h>

#include "base/file.h"
#include "ggml-backend.h"
#include "llama.h"
#include "model/test_models.h"

namespace shoal::model {
namespace {

using ::testing::HasSubstr;

// --- The least that runs a shard in llama.cpp: to see that it loads, and computes what the whole model does.
// ----------

struct Tap {
  std::string name;
  std::vector<float> values;
};

bool on_tensor(ggml_tensor* tensor, bool ask, void* user) {
  auto& tap = *static_cast<Tap*>(user);
  if (tap.name != tensor->name) return !ask;
  if (!ask) {
    tap.values.resize(static_cast<std::size_t>(ggml_nelements(tensor)));
    ggml_backend_tensor_get(tensor, tap.values.data(), 0, ggml_nbytes(tensor));
  }
  return true;
}

void keep_errors(ggml_log_level level, const char* text, void* user) {
  if (level == GGML_LOG_LEVEL_ERROR) static_cast<std::string*>(user)->append(text);
}

struct Runner {
  explicit Runner(const std::filesystem::path& path) {
    llama_log_set(keep_errors, &errors);
    model.reset(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
    if (model == nullptr) return;
    tap.name = "l_out-" + std::to_string(llama_model_n_layer(model.get()) - 1);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 64;
    params.n_threads = params.n_threads_batch = 1;
    params.cb_eval = on_tensor;
    params.cb_eval_user_data = &tap;
    context.reset(llama_init_from_model(model.get(), params));
  }
  ~Runner() {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  }

  // Tokens, or hidden states of `rows` rows; logits of the last row where `last`, else the last block's output.
  std::vector<float> run(const std::vector<llama_token>& tokens, const std::vector<float>& hidden, bool last) {
    EXPECT_NE(context, nullptr) << errors;
    if (context == nullptr) return {};
    int width = llama_model_n_embd(model.get());
    int rows = static_cast<int>(tokens.size());
    llama_batch batch = llama_batch_init(rows, hidden.empty() ? 0 : width, 1);
    batch.n_tokens = rows;
    for (int i = 0; i < rows; ++i) {
      if (hidden.empty()) batch.token[i] = tokens[static_cast<std::size_t>(i)];
      batch.pos[i] = i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = !last || i == rows - 1;
    }
    if (!hidden.empty()) std::memcpy(batch.embd, hidden.data(), hidden.size() * sizeof(float));
    EXPECT_EQ(llama_decode(context.get(), batch), 0);
    llama_batch_free(batch);
    if (!last) return tap.values;
    const float* logits = llama_get_logits_ith(context.get(), -1);
    return {logits, logits + llama_vocab_n_tokens(llama_model_get_vocab(model.get()))};
  }

  std::string errors;
  Tap tap;
  std::unique_ptr<llama_model, decltype(&llama_model_free)> model{nullptr, &llama_model_free};
  std::unique_ptr<llama_context, decltype(&llama_free)> context{nullptr, &llama_free};
};

// What the first stage's llama.cpp gets instead of tokens: rows of the embedding, as ggml_get_rows makes them.
std::vector<float> token_rows(const Manifest& shard, const std::vector<llama_token>& tokens) {
  EXPECT_TRUE(shard.token_rows);
  if (!shard.token_rows) return {};
  auto file = MappedFile::open(shard.files[0]);
  EXPECT_TRUE(file.ok());
  const Tensor& tensor = *shard.token_rows;
  std::vector<float> rows(tokens.size() * shard.embedding_length);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::uint8_t* row = file->bytes().data() + tensor.offset +
                              static_cast<std::size_t>(tokens[i]) * (tensor.size_bytes / tensor.shape[1]);
    ggml_get_type_traits(static_cast<ggml_type>(tensor.type))
        ->to_float(row, rows.data() + i * shard.embedding_length, shard.embedding_length);
  }
  if (shard.architecture == "gemma3") {
    for (float& value : rows) value *= std::sqrt(static_cast<float>(shard.embedding_length));
  }
  return rows;
}

std::filesystem::path write_cut(const Manifest& manifest, LayerRange range, const std::filesystem::path& out) {
  auto cut = plan_cut(manifest, range);
  EXPECT_TRUE(cut.ok()) << cut.error().message;
  Status written = cut.ok() ? write_shard(manifest, *cut, out) : Status();
  EXPECT_TRUE(written.ok()) << written.error().message;
  return out;
}

struct Case {
  std::string name;
  tools::ModelOptions options;
};

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const char* architecture : {"llama", "qwen3", "gemma3", "phi3", "qwen3moe", "olmoe"}) {
    result.push_back({architecture, small_model(architecture)});
  }
  Case odd{"llama_with_rope_freqs_and_Q4_K_M", small_model("llama")};
  odd.options.rotary_factors = true;
  odd.options.type = "Q4_K_M";
  result.push_back(odd);
  Case tied{"qwen3_tied_Q6_K", small_model("qwen3")};
  tied.options.tied = true;
  tied.options.type = "Q6_K";
  result.push_back(tied);
  Case longrope{"phi3_with_rope_factors_Q8_0", small_model("phi3")};
  longrope.options.rotary_factors = true;
  longrope.options.type = "Q8_0";
  result.push_back(longrope);
  Case mixtral{"llama_mixture_Q5_K", small_model("llama")};
  mixtral.options.experts = 4;
  mixtral.options.type = "Q5_K";
  result.push_back(mixtral);
  return result;
}

class Cuts : public ::testing::TestWithParam<Case> {};

// Shards of 1 to 3 layers, read again, loaded, and run as a pipeline: the logits have the bits of the whole model's.
TEST_P(Cuts, ComputeWhatTheWholeModelDoes) {
  TemporaryFolder folder;
  write_model(GetParam().options, folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  const std::vector<llama_token> tokens = {1, 15043, 3186, 29892, 445, 338, 31999};
  std::vector<float> expected = Runner(folder / "m.gguf").run(tokens, {}, true);

  std::vector<float> hidden;
  for (LayerRange range : {LayerRange{0, 2}, {2, 3}, {3, 6}}) {
    Manifest shard = manifest_of(write_cut(m, range, folder / ("s" + range.text())));
    EXPECT_EQ(shard.layer_count, range.count());
    EXPECT_EQ(shard.shard_of, range);
    EXPECT_EQ(shard.tokenizer, "no_vocab");
    EXPECT_EQ(shard.vocabulary_size, range.last == 6 ? m.vocabulary_size : 1u);
    EXPECT_EQ(shard.token_rows.has_value(), range.first == 0);
    if (range.first == 0) {
      EXPECT_EQ(shard.token_rows->shape, m.find_tensor("token_embd.weight")->shape);
      hidden = token_rows(shard, tokens);
    }
    for (std::uint32_t i = 0; i < range.count(); ++i) EXPECT_EQ(shard.layer_bytes(i), m.layer_bytes(range.first + i));
    Runner runner(shard.files[0]);
    hidden = runner.run(tokens, hidden, range.last == 6);
  }
  ASSERT_EQ(hidden.size(), expected.size());
  EXPECT_EQ(std::memcmp(hidden.data(), expected.data(), expected.size() * sizeof(float)), 0);
  auto [low, high] = std::minmax_element(expected.begin(), expected.end());
  EXPECT_GT(*high - *low, 2.0f);  // lively, or the comparison says little
}

INSTANTIATE_TEST_SUITE_P(Cut, Cuts, ::testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

TEST(Cut, AWholeCutKeepsBothEnds) {
  TemporaryFolder folder;
  write_model(small_model("llama"), folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  Manifest all = manifest_of(write_cut(m, {0, 6}, folder / "all"));
  EXPECT_EQ(all.size_bytes(), m.size_bytes());
  Runner runner(all.files[0]);
  std::vector<float> expected = Runner(folder / "m.gguf").run({1, 2, 3}, {}, true);
  EXPECT_EQ(runner.run({1, 2, 3}, {}, true), expected);
}

TEST(Cut, HolesTakeNoRoomAndTheEndsShareATiedMatrix) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model("qwen3");
  options.tied = true;
  write_model(options, folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  auto hashes = hash_tensors(m);
  ASSERT_TRUE(hashes.ok());
  auto first = plan_cut(m, {0, 3}), last = plan_cut(m, {3, 6});
  ASSERT_TRUE(first.ok() && last.ok());
  ShardLayout a = make_layout(m, *first, *hashes), b = make_layout(m, *last, *hashes);
  EXPECT_TRUE(a.check().ok() && b.check().ok());
  EXPECT_NE(a.id(), b.id());
  const Digest& matrix = (*hashes)[static_cast<std::size_t>(m.find_tensor("token_embd.weight") - m.tensors.data())];
  for (const ShardLayout& layout : {a, b}) {  // the embedding of the first, the output of the last
    EXPECT_TRUE(std::any_of(layout.pieces.begin(), layout.pieces.end(),
                            [&](const Piece& piece) { return piece.sha256 == matrix; }));
  }
  EXPECT_LT(a.bytes() + b.bytes(), m.size_bytes() + m.find_tensor("token_embd.weight")->size_bytes + 8192);
  EXPECT_GT(b.file_bytes, b.bytes() + 1000000);  // the hole
  struct stat info;
  ASSERT_EQ(::stat(write_cut(m, {3, 6}, folder / "s").c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), b.file_bytes);
  EXPECT_LT(static_cast<std::uint64_t>(info.st_blocks) * 512, b.bytes() + (1u << 20));
}

// Where the embedding is said to be is not believed.
TEST(Cut, RowsOutsideTheFileAreRefused) {
  TemporaryFolder folder;
  write_model(small_model("llama"), folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  auto text = read_file(write_cut(m, {0, 3}, folder / "s"), 1u << 30);
  ASSERT_TRUE(text.ok());
  const Bytes good(text->begin(), text->end());
  ASSERT_TRUE(parse_manifest(good, "s").ok());
  const auto refused = [&](std::string_view key, auto value) {
    Bytes bad = good;
    auto at = std::search(bad.begin(), bad.end(), key.begin(), key.end());
    ASSERT_NE(at, bad.end());
    store_le(&*at + key.size() + sizeof(std::uint32_t), value);
    auto manifest = parse_manifest(bad, "s");
    ASSERT_FALSE(manifest.ok()) << key;
    EXPECT_EQ(manifest.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(manifest.error().message, HasSubstr("name no rows inside the file"));
  };
  refused(kShardRowsOffsetKey, UINT64_MAX);
  refused(kShardRowsOffsetKey, UINT64_MAX - 31);
  refused(kShardRowsOffsetKey, std::uint64_t{good.size()});
  refused(kShardRowsOffsetKey, std::uint64_t{1});
  refused(kShardRowsCountKey, std::uint32_t{0});
  refused(kShardRowsCountKey, UINT32_MAX);
  refused(kShardRowsCountKey, m.vocabulary_size + 1);
  refused(kShardRowsTypeKey, UINT32_MAX);
  EXPECT_FALSE(parse_manifest(ByteSpan(good).first(good.size() - 1), "s").ok());
}

TEST(Cut, IsTheSameFromASplitSet) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model("llama");
  write_model(options, folder / "one.gguf");
  options.split = 3;
  auto files = write_model(options, folder / "set.gguf");
  auto one = read_file(write_cut(manifest_of(folder / "one.gguf"), {1, 5}, folder / "a"), 1u << 30);
  auto set = read_file(write_cut(manifest_of(files[0]), {1, 5}, folder / "b"), 1u << 30);
  ASSERT_TRUE(one.ok() && set.ok());
  EXPECT_TRUE(*one == *set);
}

TEST(Cut, RefusesWhatCannotBeCut) {
  TemporaryFolder folder;
  write_model(small_model("llama"), folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  for (LayerRange range : {LayerRange{3, 3}, {4, 2}, {0, 7}, {6, 7}}) {
    auto cut = plan_cut(m, range);
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(cut.error().message, HasSubstr("has the layers 0:6"));
  }
  Manifest shard = manifest_of(write_cut(m, {1, 3}, folder / "s"));
  EXPECT_THAT(plan_cut(shard, {0, 1}).error().message, HasSubstr("itself a shard of the layers 1:3"));

  Manifest smollm = m;  // the rule is the architecture's; the tensors are the same
  smollm.architecture = "smollm3";
  smollm.cut_allowed = {true, false, false, false, true, false, true};
  smollm.cut_rule = "before every 4th layer";
  EXPECT_TRUE(plan_cut(smollm, {0, 4}).ok());
  EXPECT_THAT(plan_cut(smollm, {0, 3}).error().message, HasSubstr("the nearest cuts that work are 0 or 4"));

  auto itself = plan_cut(m, {0, 3});
  ASSERT_TRUE(itself.ok());
  EXPECT_EQ(write_shard(m, *itself, folder / "m.gguf").error().code, ErrorCode::kInvalidArgument);
}

TEST(Cut, ForbidsGemma3WithAnAttentionScaleOfItsOwn) {
  TemporaryFolder folder;
  tools::ModelOptions options = small_model("gemma3");
  options.layers = 62;
  options.head_length = 16;  // and not 256 / 8
  options.feed_forward = 32;
  write_model(options, folder / "m.gguf");
  Manifest m = manifest_of(folder / "m.gguf");
  EXPECT_EQ(std::count(m.cut_allowed.begin(), m.cut_allowed.end(), true), 2);
  EXPECT_THAT(plan_cut(m, {0, 31}).error().message, HasSubstr("scales attention in its own way"));
  options.layers = 63;
  write_model(options, folder / "n.gguf");
  Manifest n = manifest_of(folder / "n.gguf");
  EXPECT_TRUE(plan_cut(n, {0, 61}).ok());
  EXPECT_THAT(plan_cut(n, {1, 63}).error().message, HasSubstr("cannot be cut into a stage of 62 layers"));
}

TEST(Cut, SaysHowMuchRoomIsMissing) {
  Status status = check_free_space("/tmp", std::uint64_t{1} << 60, "the shard 0:3");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(status.error().message, HasSubstr("the shard 0:3 needs 1"));
  EXPECT_THAT(status.error().message, HasSubstr("make room for"));
}

TEST(ShardLayout, FromOutsideIsChecked) {
  ShardLayout good{{0, 2}, 100, {{{}, 0, 10}, {{}, 32, 68}}};
  EXPECT_TRUE(good.check().ok());
  auto refused = [&](auto change) {
    ShardLayout bad = good;
    change(bad);
    Status status = bad.check();
    return !status.ok() && status.error().code == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refused([](ShardLayout& l) { l.range = {2, 2}; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces.clear(); }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces.resize(kPiecesMax + 1); }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces[0].offset = 1; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces[1].offset = 9; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces[1].size_bytes = 69; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces[1].size_bytes = UINT64_MAX; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.pieces[1].size_bytes = 0; }));
  EXPECT_TRUE(refused([](ShardLayout& l) { l.file_bytes = UINT64_MAX; }));
}

}  // namespace
}  // namespace shoal::model
