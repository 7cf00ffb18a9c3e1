#include "engine/proof_subject.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/architecture.h"

namespace shoal::engine {
namespace {

// Texts of any bytes, one after the other, none of which can be taken for the beginning of the next.
class Text {
 public:
  Text& add(std::string_view part) {
    text_ += fmt::format("{}:", part.size());
    text_ += part;
    return *this;
  }
  Text& add(const model::MetadataEntry& entry) {
    add(entry.key).add(fmt::format("{}", static_cast<std::uint32_t>(entry.type)));
    return add({reinterpret_cast<const char*>(entry.value.data()), entry.value.size()});
  }
  // A tensor, under a name without its layer's number.
  Text& add(const model::Tensor& tensor, std::string_view name) {
    return add(name).add(fmt::format("{} {}", tensor.type, fmt::join(tensor.shape, "x")));
  }
  Digest digest() const { return Sha256::of({reinterpret_cast<const std::uint8_t*>(text_.data()), text_.size()}); }

 private:
  std::string text_;
};

// What a cut changes in the metadata without changing a layer (model/cut.h).
bool is_of_the_cut(std::string_view key, std::string_view rest) {
  return key.starts_with("tokenizer.") || key.starts_with("shoal.shard.") || rest == "block_count" ||
         rest == "vocab_size";
}

bool is_of_an_end(std::string_view tensor) {
  return tensor.starts_with("token_embd.") || tensor == "output.weight" || tensor == "output.bias";
}

struct PerLayer {
  const model::MetadataEntry* entry;
  std::uint64_t count;
};

// The metadata that all layers share goes into `setting`; returned is what has a value for each of them.
std::vector<PerLayer> split_metadata(const model::Manifest& manifest, Text& setting) {
  std::vector<PerLayer> per_layer;
  const std::string prefix = manifest.architecture + ".";
  for (const model::MetadataEntry& entry : manifest.metadata) {
    const bool own = entry.key.starts_with(prefix);
    const std::string_view rest = own ? std::string_view(entry.key).substr(prefix.size()) : std::string_view();
    if (is_of_the_cut(entry.key, rest)) continue;
    const auto array = entry.as_array();
    if (own && array && model::is_per_layer_key(rest) && array->count == manifest.layer_count) {
      per_layer.push_back({&entry, array->count});
    } else {
      setting.add(entry);
    }
  }
  return per_layer;
}

void add_options(const InstanceOptions& options, Text& setting) {
  const StageSettings& plan = options.settings;
  setting.add(fmt::format("{} {} {} {} {} {} {} {}", plan.context_tokens_max, plan.sequences_max, plan.kv_tokens_total,
                          to_string(plan.kv_type), to_string(plan.exact), options.kernels.exact, options.threads,
                          fmt::join(options.pinned_cpus, ",")));
}

// Tensors by name: two shards need not have them in one order.
std::vector<const model::Tensor*> by_name(const model::Manifest& manifest, std::optional<std::uint32_t> layer) {
  std::vector<const model::Tensor*> tensors;
  for (const model::Tensor& tensor : manifest.tensors) {
    if (tensor.layer == layer) tensors.push_back(&tensor);
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return tensors;
}

Text layer_text(const model::Manifest& manifest, const std::vector<PerLayer>& per_layer, std::uint32_t layer) {
  Text text;
  text.add("layer");
  const std::string prefix = fmt::format("blk.{}.", layer);
  for (const model::Tensor* tensor : by_name(manifest, layer)) {
    const std::string_view name = tensor->name;
    text.add(*tensor, name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  }
  for (const PerLayer& each : per_layer) text.add(each.entry->slice(layer, 1));
  const bool window = layer < manifest.sliding_window.size() && manifest.sliding_window[layer];
  const model::Architecture* architecture = model::find_architecture(manifest.architecture);
  const std::uint32_t period = architecture == nullptr ? 1 : architecture->cut_period;
  return text.add(fmt::format("{} {}", window, layer % period));
}

std::string name_of(const model::Manifest& manifest) {
  const LayerRange range = manifest.shard_of.value_or(LayerRange{0, manifest.layer_count});
  return fmt::format("layers {}-{}", range.first, range.last - 1);
}

}  // namespace

ProofSubject proof_subject(const model::Manifest& manifest, const InstanceOptions& options) {
  ProofSubject subject;
  subject.name = name_of(manifest);
  Text setting;
  const std::vector<PerLayer> per_layer = split_metadata(manifest, setting);
  add_options(options, setting);
  Text ends;
  for (const model::Tensor* tensor : by_name(manifest, std::nullopt)) {
    (is_of_an_end(tensor->name) ? ends : setting).add(*tensor, tensor->name);
  }
  subject.setting = setting.digest();
  const std::uint32_t plain = manifest.layer_count - (options.is_last ? 1 : 0);
  for (std::uint32_t layer = 0; layer < plain; ++layer) {
    subject.layers.insert(layer_text(manifest, per_layer, layer).digest());
  }
  if (options.is_last) {
    Text last = layer_text(manifest, per_layer, plain);
    subject.last_layer = last.digest();
    const Digest output = ends.digest();
    subject.ends.insert(last.add("last").add(output.hex()).digest());
  }
  // Hidden states come in as they are; tokens are looked up in the embedding.
  subject.ends.insert(options.is_first ? Text().add("tokens").add(ends.digest().hex()).digest()
                                       : Text().add("hidden states").digest());
  return subject;
}

}  // namespace shoal::engine
