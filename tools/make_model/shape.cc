#include "make_model/shape.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace shoal::tools {
namespace {

constexpr std::array<std::pair<const char*, ggml_type>, 13> kTypes = {{
    {"F32", GGML_TYPE_F32},
    {"F16", GGML_TYPE_F16},
    {"Q4_0", GGML_TYPE_Q4_0},
    {"Q4_1", GGML_TYPE_Q4_1},
    {"Q5_0", GGML_TYPE_Q5_0},
    {"Q8_0", GGML_TYPE_Q8_0},
    {"IQ4_NL", GGML_TYPE_IQ4_NL},
    {"IQ4_XS", GGML_TYPE_IQ4_XS},
    {"Q4_K", GGML_TYPE_Q4_K},
    {"Q5_K", GGML_TYPE_Q5_K},
    {"Q6_K", GGML_TYPE_Q6_K},
    {"Q4_K_M", GGML_TYPE_Q4_K},
    {"Q5_K_M", GGML_TYPE_Q5_K},
}};

enum class Role { kPlain, kSensitive, kEmbedding, kOutput };

// Uniform values in [-a, a] have the deviation a / sqrt(3).
float spread_of_deviation(double deviation) {
  return static_cast<float>(deviation * std::sqrt(3.0));
}

class Shapes {
 public:
  Shapes(const ModelOptions& options, std::int64_t vocabulary_size)
      : options_(options),
        base_(*base_type(options.type)),
        mix_(options.type.ends_with("_M")),
        vocabulary_(vocabulary_size),
        width_(options.embedding),
        queries_(static_cast<std::int64_t>(options.heads) * options.head_length),
        keys_(static_cast<std::int64_t>(options.kv_heads) * options.head_length) {}

  std::vector<TensorShape> run() {
    // A tied embedding is the output as well: narrow, so that the residual's own token does not always win, with the
    // width given back by the last norm.
    constexpr double kLogitDeviation = 3;  // lively, and far from overflow
    double narrow = options_.tied ? 0.3 : 1.0;
    matrix("token_embd.weight", {width_, vocabulary_}, Role::kEmbedding, narrow);
    vector("output_norm.weight", width_, static_cast<float>(options_.tied ? kLogitDeviation / narrow : 1.0));
    if (!options_.tied) matrix("output.weight", {width_, vocabulary_}, Role::kOutput, kLogitDeviation);
    if (options_.rotary_factors) rotary();
    for (layer_ = 0; layer_ < options_.layers; ++layer_) layer();
    return std::move(result_);
  }

 private:
  bool is(std::string_view architecture) const { return options_.architecture == architecture; }
  // llama-quant.cpp's use_more_bits: the first and last eighth of the layers, and every third between.
  bool more_bits() const {
    std::uint32_t n = options_.layers;
    return layer_ < n / 8 || layer_ >= 7 * n / 8 || (layer_ - n / 8) % 3 == 2;
  }
  ggml_type type_for(Role role, std::int64_t row) const {
    ggml_type type = base_;
    if (mix_ && (role == Role::kOutput || (role == Role::kEmbedding && options_.tied) ||
                 (role == Role::kSensitive && more_bits()))) {
      type = GGML_TYPE_Q6_K;
    }
    return row % ggml_blck_size(type) == 0 ? type : GGML_TYPE_F16;
  }
  // `gain` 1: a normalised input gives an output of deviation 1.
  void matrix(std::string name, std::vector<std::int64_t> extents, Role role = Role::kPlain, double gain = 1) {
    ggml_type type = type_for(role, extents[0]);
    float spread = spread_of_deviation(gain / std::sqrt(static_cast<double>(extents[0])));
    result_.push_back({std::move(name), std::move(extents), type, 0, spread});
  }
  void vector(std::string name, std::int64_t length, float center = 1) {
    result_.push_back({std::move(name), {length}, GGML_TYPE_F32, center, 0.1f * center});
  }
  double added() const { return layer_ < 2 ? 1 : options_.later_gain; }
  std::string in_layer(std::string_view rest) const { return fmt::format("blk.{}.{}", layer_, rest); }

  void rotary() {
    std::int64_t half = options_.head_length / 2;
    if (is("phi3")) {
      vector("rope_factors_long.weight", half, 2);
      vector("rope_factors_short.weight", half);
    } else {
      vector("rope_freqs.weight", half);
    }
  }
  void layer() {
    vector(in_layer("attn_norm.weight"), width_);
    attention();
    vector(in_layer("ffn_norm.weight"), width_);
    if (options_.experts > 0) {
      mixture();
    } else {
      feed_forward();
    }
    if (is("gemma3")) {
      vector(in_layer("post_attention_norm.weight"), width_);
      vector(in_layer("post_ffw_norm.weight"), width_);
    }
  }
  void attention() {
    if (is("phi3")) {
      matrix(in_layer("attn_qkv.weight"), {width_, queries_ + 2 * keys_});
    } else {
      matrix(in_layer("attn_q.weight"), {width_, queries_});
      matrix(in_layer("attn_k.weight"), {width_, keys_});
      matrix(in_layer("attn_v.weight"), {width_, keys_}, Role::kSensitive);
    }
    matrix(in_layer("attn_output.weight"), {queries_, width_}, Role::kPlain, added());
    if (is("olmoe")) {  // over all heads at once
      vector(in_layer("attn_q_norm.weight"), queries_);
      vector(in_layer("attn_k_norm.weight"), keys_);
    } else if (is("qwen3") || is("qwen3moe") || is("gemma3")) {
      vector(in_layer("attn_q_norm.weight"), options_.head_length);
      vector(in_layer("attn_k_norm.weight"), options_.head_length);
    }
  }
  void feed_forward() {
    std::int64_t inner = options_.feed_forward;
    if (!is("phi3")) matrix(in_layer("ffn_gate.weight"), {width_, inner});
    matrix(in_layer("ffn_up.weight"), {width_, is("phi3") ? 2 * inner : inner});
    matrix(in_layer("ffn_down.weight"), {inner, width_}, Role::kSensitive, added());
  }
  void mixture() {
    std::int64_t inner = options_.feed_forward, experts = options_.experts;
    TensorShape router{in_layer("ffn_gate_inp.weight"), {width_, experts}, GGML_TYPE_F32, 0, 0};
    router.spread = spread_of_deviation(1 / std::sqrt(static_cast<double>(width_)));
    result_.push_back(std::move(router));
    matrix(in_layer("ffn_gate_exps.weight"), {width_, inner, experts});
    matrix(in_layer("ffn_up_exps.weight"), {width_, inner, experts});
    matrix(in_layer("ffn_down_exps.weight"), {inner, width_, experts}, Role::kSensitive, added());
  }

  const ModelOptions& options_;
  ggml_type base_;
  bool mix_;
  std::int64_t vocabulary_, width_, queries_, keys_;
  std::uint32_t layer_ = 0;
  std::vector<TensorShape> result_;
};

}  // namespace

std::optional<ggml_type> base_type(const std::string& name) {
  for (const auto& [known, type] : kTypes) {
    if (name == known) return type;
  }
  return std::nullopt;
}

Result<ModelOptions> complete_options(ModelOptions options) {
  auto wrong = [](std::string what) { return Error{ErrorCode::kInvalidArgument, std::move(what)}; };
  constexpr std::array<std::string_view, 6> kKnown = {"llama", "qwen3", "gemma3", "phi3", "qwen3moe", "olmoe"};
  if (std::find(kKnown.begin(), kKnown.end(), options.architecture) == kKnown.end()) {
    return wrong(fmt::format("--arch {} is unknown; take one of {}", options.architecture, fmt::join(kKnown, ", ")));
  }
  if (!base_type(options.type)) return wrong(fmt::format("--type {} is unknown", options.type));
  if (options.layers == 0 || options.heads == 0 || options.kv_heads == 0 || options.heads % options.kv_heads != 0) {
    return wrong("--layers, --heads and --kv-heads must be above 0, and --heads a multiple of --kv-heads");
  }
  if (options.head_length == 0) options.head_length = options.embedding / options.heads;
  if (options.head_length == 0 || options.head_length % 2 != 0) return wrong("the length of a head must be even");
  bool mixture = options.architecture == "qwen3moe" || options.architecture == "olmoe";
  if (mixture && options.experts == 0) options.experts = 8;
  if (options.experts > 0 && options.experts_used == 0) options.experts_used = 2;
  if (options.experts_used > options.experts) return wrong("--experts-used must not be above --experts");
  if (options.experts > 0 && !mixture && options.architecture != "llama") {
    return wrong(fmt::format("--experts does not go with --arch {}", options.architecture));
  }
  bool square = options.architecture == "phi3" || options.architecture == "olmoe";
  if (square && options.head_length * options.heads != options.embedding) {
    return wrong(fmt::format("with --arch {} heads times their length is the embedding", options.architecture));
  }
  if (options.architecture == "olmoe" && options.kv_heads != options.heads) {
    return wrong("with --arch olmoe --kv-heads equals --heads");
  }
  if (options.architecture == "gemma3") options.tied = true;
  if (options.architecture == "olmoe" && options.tied) return wrong("--tied does not go with --arch olmoe");
  if (options.rotary_factors && options.architecture != "llama" && options.architecture != "phi3") {
    return wrong("--rotary-factors goes with --arch llama and phi3 only");
  }
  if (options.threads == 0 || options.split == 0) return wrong("--threads and --split must be above 0");
  return options;
}

std::vector<TensorShape> tensor_shapes(const ModelOptions& options, std::int64_t vocabulary_size) {
  return Shapes(options, vocabulary_size).run();
}

}  // namespace shoal::tools
