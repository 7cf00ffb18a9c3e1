// Models with random weights and real tokenizers: for tests and benchmarks, never for answers.
//
// The weights are a function of the seed and the tensor's name alone, so the same options give the same file on every
// machine and with any number of threads. Tensors are generated, quantised and written a few rows at a time: a 7B takes
// megabytes, not gigabytes, of memory. Uses ggml's own GGUF writer, so that Shoal's reader is tested against it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal::tools {

struct ModelOptions {
  std::string architecture = "llama";  // llama, qwen3, gemma3, phi3, qwen3moe, olmoe
  std::uint32_t layers = 8;
  std::uint32_t embedding = 256;  // a multiple of 256 where K-quants are asked for
  std::uint32_t heads = 8;
  std::uint32_t kv_heads = 4;
  std::uint32_t head_length = 0;  // 0: embedding / heads
  std::uint32_t feed_forward = 512;
  std::uint32_t experts = 0;       // of a mixture; 0 takes the architecture's default (8 where it is one)
  std::uint32_t experts_used = 0;  // 0: 2 where there are experts
  std::uint32_t context = 4096;
  std::uint32_t window = 512;  // gemma3: tokens a windowed layer sees
  std::string type = "Q4_0";   // F32, F16, Q4_0, Q4_1, Q5_0, Q8_0, IQ4_NL, IQ4_XS, Q4_K, Q5_K, Q6_K: all matrices; or a
                               // mix by llama.cpp's recipe: Q4_K_M, Q5_K_M
  bool tied = false;           // no output.weight (always so for gemma3)
  double later_gain = 1;  // what layers from the third on add: with little, a model of the first two guesses this one
  bool rotary_factors = false;       // rope_freqs.weight (llama), rope_factors_*.weight (phi3)
  std::filesystem::path vocabulary;  // a GGUF whose tokenizer.* keys are taken over
  std::string chat_template;         // replaces the vocabulary's own where not empty
  std::uint64_t seed = 1;
  std::uint32_t threads = 2;
  std::uint32_t split = 1;  // parts; more than 1 names them OUT-00001-of-0000N.gguf
};

// "tiny", "llama-1.1b", "llama2-7b". kNotFound with the names otherwise.
Result<ModelOptions> model_preset(std::string_view name);

// The vocabulary that goes with an architecture among llama.cpp's models/ggml-vocab-*.gguf.
std::string vocabulary_name(std::string_view architecture);

// Writes the model; returns its files in order (one without a split). kInvalidArgument says which option is wrong.
Result<std::vector<std::filesystem::path>> make_model(const ModelOptions& options, const std::filesystem::path& out);

inline constexpr std::string_view kChatMlTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

}  // namespace shoal::tools
