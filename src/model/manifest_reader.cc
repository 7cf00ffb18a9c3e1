// From a file, or the parts of a split set, to a manifest.
#include <algorithm>

#include "model/manifest_builder.h"

namespace shoal::model {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kSplitPartsMax = 10000;

Result<Manifest> build_manifest(std::vector<GgufFile> parts, std::vector<fs::path> files) {
  ManifestBuilder builder;
  builder.file = files[0].string();
  builder.manifest.files = std::move(files);
  builder.manifest.metadata = std::move(parts[0].metadata);
  builder.manifest.alignment = parts[0].alignment;
  builder.file_bytes = parts[0].file_bytes;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (Tensor& tensor : parts[i].tensors) {
      tensor.file = static_cast<std::uint32_t>(i);
      builder.manifest.tensors.push_back(std::move(tensor));
    }
  }
  if (parts.size() > 1) {
    std::vector<std::string_view> names;
    for (const Tensor& tensor : builder.manifest.tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return builder.corrupt(fmt::format("tensor {} is in two parts of the set", in_quotes(*twice)));
  }
  SHOAL_RETURN_IF_ERROR(builder.build());
  return std::move(builder.manifest);
}

std::uint64_t uint_of(const GgufFile& gguf, std::string_view key, std::uint64_t otherwise) {
  for (const MetadataEntry& entry : gguf.metadata) {
    if (entry.key == key) return entry.as_uint().value_or(otherwise);
  }
  return otherwise;
}

Result<GgufFile> map_and_parse(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  return parse_gguf(mapped.bytes(), path.string());
}

// "x-00002-of-00003.gguf" -> the names of all three; empty where `path` is not of this form with this count.
std::vector<fs::path> split_siblings(const fs::path& path, std::uint64_t count) {
  std::string name = path.filename().string();
  std::string ending = fmt::format("-of-{:05}.gguf", count);
  constexpr std::size_t kNumberLength = 6;  // "-00001"
  if (!name.ends_with(ending) || name.size() < ending.size() + kNumberLength) return {};
  std::string prefix = name.substr(0, name.size() - ending.size() - kNumberLength);
  std::vector<fs::path> files;
  for (std::uint64_t i = 1; i <= count; ++i) {
    files.push_back(path.parent_path() / fmt::format("{}-{:05}{}", prefix, i, ending));
  }
  return files;
}

Result<Manifest> read_split_set(const fs::path& path, std::uint64_t count) {
  if (count > kSplitPartsMax) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt: it claims {} parts", path.string(), count)};
  }
  std::vector<fs::path> files = split_siblings(path, count);
  if (files.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is one of {} parts; give it its name back (…-00001-of-{:05}.gguf), all parts in one "
                             "folder",
                             path.string(), count, count)};
  }
  std::vector<GgufFile> parts;
  std::uint64_t tensors = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    SHOAL_ASSIGN_OR_RETURN(GgufFile part, map_and_parse(files[i]));
    if (uint_of(part, "split.count", 0) != count || uint_of(part, "split.no", UINT64_MAX) != i) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{} is not part {} of {} of this model", files[i].string(), i + 1, count)};
    }
    tensors += part.tensors.size();
    parts.push_back(std::move(part));
  }
  std::uint64_t expected = uint_of(parts[0], "split.tensors.count", tensors);
  if (expected != tensors) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt: the set has {} tensors, expected {}",
                                                  files[0].string(), tensors, expected)};
  }
  return build_manifest(std::move(parts), std::move(files));
}

}  // namespace

Status ManifestBuilder::build() {
  SHOAL_RETURN_IF_ERROR(read_names());
  SHOAL_RETURN_IF_ERROR(read_hyperparameters());
  SHOAL_RETURN_IF_ERROR(check_experts());
  SHOAL_RETURN_IF_ERROR([&]() -> Status {  // may be an array that a cut slices: its length must be right
    auto lengths = per_layer("feed_forward_length", 0, kWidthMax, {});
    return lengths ? Status() : Status(lengths.error());
  }());
  SHOAL_RETURN_IF_ERROR([&]() -> Status {
    auto lengths = per_layer("expert_feed_forward_length", 0, kWidthMax, {});
    return lengths ? Status() : Status(lengths.error());
  }());
  SHOAL_RETURN_IF_ERROR(read_attention());
  SHOAL_RETURN_IF_ERROR(read_windows());
  SHOAL_RETURN_IF_ERROR(read_tensors());
  SHOAL_RETURN_IF_ERROR(read_shard());
  read_quantization();
  allow_cuts();
  return {};
}

Result<Manifest> read_manifest(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(GgufFile gguf, map_and_parse(path));
  std::uint64_t parts = uint_of(gguf, "split.count", 0);
  if (parts > 1) return read_split_set(path, parts);
  std::vector<GgufFile> one;
  one.push_back(std::move(gguf));
  return build_manifest(std::move(one), {path});
}

Result<Manifest> parse_manifest(ByteSpan file, const fs::path& name) {
  SHOAL_ASSIGN_OR_RETURN(GgufFile gguf, parse_gguf(file, name.string()));
  std::vector<GgufFile> one;
  one.push_back(std::move(gguf));
  return build_manifest(std::move(one), {name});
}

}  // namespace shoal::model
