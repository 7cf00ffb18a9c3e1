// `shoal model inspect` and `shoal model cut`.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "coordinator/model_source.h"
#include "model/cut.h"

namespace shoal::cli {
namespace {

struct InspectOptions {
  std::string file;
  std::uint32_t context = 4096;
  bool json = false;
};

struct CutOptions {
  std::string file;
  std::string layers;
  std::string out;
};

std::vector<std::uint32_t> allowed_cuts(const model::Manifest& manifest) {
  std::vector<std::uint32_t> cuts;
  for (std::uint32_t i = 0; i <= manifest.layer_count; ++i) {
    if (manifest.cut_allowed[i]) cuts.push_back(i);
  }
  return cuts;
}

StageSettings settings_of(const InspectOptions& options) {
  StageSettings settings;
  settings.context_tokens_max = options.context;
  settings.kv_tokens_total = options.context;
  return settings;
}

nlohmann::json to_json(const model::Manifest& manifest, const InspectOptions& options) {
  auto settings = settings_of(options);
  auto shape = coordinator::model_shape(manifest, settings);
  nlohmann::json json = {{"architecture", manifest.architecture},
                         {"name", manifest.name},
                         {"quantization", manifest.quantization},
                         {"tokenizer", manifest.tokenizer},
                         {"layer_count", manifest.layer_count},
                         {"embedding_length", manifest.embedding_length},
                         {"vocabulary_size", manifest.vocabulary_size},
                         {"context_length", manifest.context_length},
                         {"tensor_count", manifest.tensors.size()},
                         {"size_bytes", manifest.size_bytes()},
                         {"cut_rule", manifest.cut_rule},
                         {"allowed_cuts", allowed_cuts(manifest)},
                         {"context_tokens", options.context},
                         {"first_stage_extra_bytes", shape.first_stage_bytes},
                         {"last_stage_extra_bytes", shape.last_stage_bytes},
                         {"every_stage_extra_bytes", shape.every_stage_bytes},
                         {"layers", nlohmann::json::array()},
                         {"files", nlohmann::json::array()}};
  for (std::uint32_t i = 0; i < manifest.layer_count; ++i) {
    json["layers"].push_back({{"weights_bytes", shape.layer_weight_bytes[i]}, {"kv_bytes", shape.layer_kv_bytes[i]}});
  }
  for (const auto& file : manifest.files) json["files"].push_back(file.string());
  if (manifest.shard_of) json["shard_of_layers"] = {manifest.shard_of->first, manifest.shard_of->last};
  return json;
}

// Equal neighbours in one row: "0-21  29.1 MiB  ..."
void print_layers(const plan::ModelShape& shape) {
  std::printf("\n  layers      weights each   KV each at that context\n");
  for (std::uint32_t first = 0; first < shape.layer_count;) {
    std::uint32_t last = first + 1;
    while (last < shape.layer_count && shape.layer_weight_bytes[last] == shape.layer_weight_bytes[first] &&
           shape.layer_kv_bytes[last] == shape.layer_kv_bytes[first]) {
      ++last;
    }
    std::string range = last - first == 1 ? std::to_string(first) : fmt::format("{}-{}", first, last - 1);
    std::printf("  %-11s %-14s %s\n", range.c_str(), format_size(shape.layer_weight_bytes[first]).c_str(),
                format_size(shape.layer_kv_bytes[first]).c_str());
    first = last;
  }
}

void print_stage_memory(const plan::ModelShape& shape) {
  std::uint64_t layers = 0;
  for (std::uint32_t i = 0; i < shape.layer_count; ++i) layers += shape.layer_weight_bytes[i] + shape.layer_kv_bytes[i];
  std::printf("\n  a stage needs its layers and %s; the first %s more, the last %s more\n",
              format_size(shape.every_stage_bytes).c_str(), format_size(shape.first_stage_bytes).c_str(),
              format_size(shape.last_stage_bytes).c_str());
  std::printf("  the whole model in one stage: %s\n",
              format_size(layers + shape.every_stage_bytes + shape.first_stage_bytes + shape.last_stage_bytes).c_str());
}

std::string cuts_text(const model::Manifest& manifest) {
  auto cuts = allowed_cuts(manifest);
  if (cuts.size() == manifest.layer_count + 1) return "before any layer";
  return fmt::format("before layers {}", fmt::join(cuts, ", "));
}

Status inspect(const InspectOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(auto manifest, model::read_manifest(options.file));
  if (options.json) {
    std::printf("%s\n", to_json(manifest, options).dump(2).c_str());
    return {};
  }
  auto shape = coordinator::model_shape(manifest, settings_of(options));
  auto row = [](const char* name, const std::string& value) { std::printf("  %-14s %s\n", name, value.c_str()); };
  std::printf("%s\n", manifest.name.c_str());
  row("architecture", manifest.architecture);
  row("quantization", manifest.quantization);
  row("size", fmt::format("{} in {} tensors, {} file{}", format_size(manifest.size_bytes()), manifest.tensors.size(),
                          manifest.files.size(), manifest.files.size() == 1 ? "" : "s"));
  row("layers", fmt::format("{}, {} wide", manifest.layer_count, manifest.embedding_length));
  row("tokenizer", fmt::format("{}, {} tokens", manifest.tokenizer, manifest.vocabulary_size));
  row("trained for", fmt::format("{} tokens", manifest.context_length));
  if (manifest.shard_of) row("shard", "layers " + manifest.shard_of->text() + " of a model");
  row("cuts", cuts_text(manifest));
  if (cuts_text(manifest) != manifest.cut_rule) row("", manifest.cut_rule);
  row("memory", fmt::format("at {} tokens of KV in f16:", options.context));
  print_layers(shape);
  print_stage_memory(shape);
  return {};
}

Result<LayerRange> parse_range(const std::string& text) {
  unsigned first = 0;
  unsigned last = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%u:%u%c", &first, &last, &rest) != 2) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is no layer range; write FIRST:LAST, as in 0:11 for layers 0 to 10", text)};
  }
  return LayerRange{first, last};
}

Status cut(const CutOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(LayerRange range, parse_range(options.layers));
  SHOAL_ASSIGN_OR_RETURN(auto manifest, model::read_manifest(options.file));
  SHOAL_ASSIGN_OR_RETURN(auto planned, model::plan_cut(manifest, range));
  SHOAL_RETURN_IF_ERROR(model::write_shard(manifest, planned, options.out));
  std::printf("%s: layers %s of %s, %s\n", options.out.c_str(), range.text().c_str(), manifest.name.c_str(),
              format_size(planned.file_bytes).c_str());
  return {};
}

}  // namespace

void add_model(CLI::App& app, Context& context) {
  auto* model = app.add_subcommand("model", "Look into a model file and cut it");
  model->require_subcommand(1);

  auto inspecting = std::make_shared<InspectOptions>();
  auto* inspect_verb = model->add_subcommand("inspect", "Architecture, layers, sizes, allowed cuts, memory of a stage");
  inspect_verb->add_option("file", inspecting->file, "A GGUF file, or any part of a split set")->required();
  inspect_verb->add_option("--context", inspecting->context, "Tokens of KV that memory is told for")
      ->check(CLI::Range(16u, 1u << 22))
      ->capture_default_str();
  inspect_verb->add_flag("--json", inspecting->json, "As JSON");
  inspect_verb->callback([inspecting, &context] { finish(context, inspect(*inspecting)); });

  auto cutting = std::make_shared<CutOptions>();
  auto* cut_verb = model->add_subcommand("cut", "Write the shard of a layer range as a GGUF of its own");
  cut_verb->add_option("file", cutting->file, "A GGUF file, or any part of a split set")->required();
  cut_verb->add_option("--layers", cutting->layers, "FIRST:LAST, LAST not included")->required();
  cut_verb->add_option("--out", cutting->out, "The file to write")->required();
  cut_verb->callback([cutting, &context] { finish(context, cut(*cutting)); });
}

}  // namespace shoal::cli
