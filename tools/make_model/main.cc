// shoal-make-model: writes a model with random weights and a real tokenizer (make_model.h).
#include <cstdio>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "make_model/make_model.h"

namespace {

using shoal::tools::ModelOptions;

void add_shape_options(CLI::App& app, ModelOptions& options) {
  app.add_option("--arch", options.architecture, "llama, qwen3, gemma3, phi3, qwen3moe or olmoe");
  app.add_option("--layers", options.layers);
  app.add_option("--embedding", options.embedding, "width of a hidden state");
  app.add_option("--heads", options.heads);
  app.add_option("--kv-heads", options.kv_heads);
  app.add_option("--head-length", options.head_length, "default: embedding / heads");
  app.add_option("--ffn", options.feed_forward, "width inside the feed-forward part, of each expert in a mixture");
  app.add_option("--experts", options.experts);
  app.add_option("--experts-used", options.experts_used);
  app.add_option("--context", options.context, "tokens the model says it was trained for");
  app.add_option("--window", options.window, "gemma3: tokens a windowed layer sees");
  app.add_option("--type", options.type,
                 "F32, F16, Q4_0, Q4_1, Q5_0, Q8_0, IQ4_NL, IQ4_XS, Q4_K, Q5_K, Q6_K, or the mixes Q4_K_M, Q5_K_M");
  app.add_option("--later-gain", options.later_gain,
                 "what layers from the third on add; with 0.1, --layers 2 of the same seed makes a draft model for it")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--tied", options.tied, "the output is the embedding");
  app.add_flag("--rotary-factors", options.rotary_factors, "llama, phi3: with the tensors that scale rotation");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a GGUF model with random weights and a real tokenizer, for tests and benchmarks");
  // The preset is looked at first: the options given beside it change it.
  std::string preset = "tiny";
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--preset") preset = argv[i + 1];
  }
  auto start = shoal::tools::model_preset(preset);
  if (!start) return fmt::print(stderr, "shoal-make-model: {}\n", start.error().message), 2;
  ModelOptions options = *start;
  std::string out;
  bool chat_template = false;
  app.add_option("--preset", preset, "tiny, llama-1.1b or llama2-7b: what is not given otherwise");
  add_shape_options(app, options);
  app.add_option("--vocab", options.vocabulary,
                 "GGUF whose tokenizer is taken; default: llama.cpp's own for the --arch");
  app.add_flag("--chat-template", chat_template, "the ChatML template instead of the vocabulary's own");
  app.add_option("--seed", options.seed);
  app.add_option("--threads", options.threads);
  app.add_option("--split", options.split, "number of files");
  app.add_option("--out", out, "the file to write")->required();
  CLI11_PARSE(app, argc, argv);

  if (chat_template) options.chat_template = shoal::tools::kChatMlTemplate;
  if (options.vocabulary.empty()) {
    options.vocabulary = std::string(SHOAL_VOCABULARY_DIR "/") + shoal::tools::vocabulary_name(options.architecture);
  }
  auto files = shoal::tools::make_model(options, out);
  if (!files) return fmt::print(stderr, "shoal-make-model: {}\n", files.error().message), 1;
  for (const auto& file : *files) fmt::print("{}\n", file.string());
  return 0;
}
