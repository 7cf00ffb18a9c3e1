#include "model/cut.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ggml.h"
#include "model/architecture.h"

namespace shoal::model {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCopyBytes = 1u << 20;
constexpr std::string_view kEmbedding = "token_embd.weight";
constexpr std::string_view kOutput = "output.weight";

// A tensor of the shard: all of a tensor of the model, or a hole.
struct ShardTensor {
  Tensor tensor;  // as it stands in the shard's table
  std::optional<std::uint32_t> source;
};

// Never repacked: rows that are looked up, and numbers that are not quantised.
bool read_in_place(const ShardTensor& entry) {
  const Tensor& tensor = entry.tensor;
  return !entry.source || tensor.name == kEmbedding || tensor.type == GGML_TYPE_F32 || tensor.type == GGML_TYPE_F16 ||
         tensor.type == GGML_TYPE_BF16;
}

// The type in which a matrix of this width takes the fewest bytes, of those every llama.cpp backend can hold.
std::uint32_t smallest_type(std::uint64_t width) {
  for (ggml_type type : {GGML_TYPE_Q1_0, GGML_TYPE_IQ1_S, GGML_TYPE_Q4_0}) {
    if (width % static_cast<std::uint64_t>(ggml_blck_size(type)) == 0) return type;
  }
  return GGML_TYPE_F16;
}

class Cutter {
 public:
  Cutter(const Manifest& manifest, LayerRange range)
      : manifest_(manifest),
        range_(range),
        architecture_(*find_architecture(manifest.architecture)),
        first_(range.first == 0),
        last_(range.last == manifest.layer_count) {}

  Cut run() {
    add_vocabulary_tensors();
    for (std::uint32_t i = 0; i < manifest_.tensors.size(); ++i) add_if_needed(i);
    // What llama.cpp reads in place comes first, in one run; what it may repack into memory of its own comes behind.
    // Loading then lets go of the second run, which would otherwise stay mapped beside its copy.
    std::stable_partition(tensors_.begin(), tensors_.end(), read_in_place);
    return assemble();
  }

 private:
  std::uint32_t index_of(std::string_view name) const {
    return static_cast<std::uint32_t>(manifest_.find_tensor(name) - manifest_.tensors.data());
  }
  void add_real(std::uint32_t index, std::string name) {
    ShardTensor entry{manifest_.tensors[index], index};
    entry.tensor.name = std::move(name);
    tensors_.push_back(std::move(entry));
  }
  void add_hole(std::string_view name, std::uint64_t rows) {
    ShardTensor entry;
    entry.tensor.name = name;
    entry.tensor.type = smallest_type(manifest_.embedding_length);
    entry.tensor.shape = {manifest_.embedding_length, rows};
    entry.tensor.size_bytes = tensor_bytes(entry.tensor.type, entry.tensor.shape).value_or(0);
    SHOAL_ASSERT(entry.tensor.size_bytes != 0);
    tensors_.push_back(std::move(entry));
  }
  void add_vocabulary_tensors();
  void add_if_needed(std::uint32_t index);
  std::vector<MetadataEntry> metadata() const;
  Bytes make_header(std::vector<Tensor>& table, std::uint64_t& file_bytes) const;
  Cut assemble();

  const Manifest& manifest_;
  LayerRange range_;
  const Architecture& architecture_;
  bool first_, last_;
  std::uint32_t vocabulary_ = 1;
  std::vector<ShardTensor> tensors_;
};

void Cutter::add_vocabulary_tensors() {
  if (first_ && last_) {
    vocabulary_ = manifest_.vocabulary_size;
    add_real(index_of(kEmbedding), std::string(kEmbedding));
    if (!manifest_.tied_output) add_real(index_of(kOutput), std::string(kOutput));
  } else if (last_) {
    vocabulary_ = manifest_.vocabulary_size;
    std::uint32_t output = index_of(manifest_.tied_output ? kEmbedding : kOutput);
    bool by_embedding = architecture_.output == OutputTensor::kNever;
    add_real(output, std::string(by_embedding ? kEmbedding : kOutput));
    if (!by_embedding) add_hole(kEmbedding, vocabulary_);
  } else {
    add_hole(kEmbedding, 1);
    if (architecture_.output == OutputTensor::kRequired) add_hole(kOutput, 1);
  }
}

void Cutter::add_if_needed(std::uint32_t index) {
  const Tensor& tensor = manifest_.tensors[index];
  if (tensor.layer) {
    if (*tensor.layer < range_.first || *tensor.layer >= range_.last) return;
    std::string_view rest = std::string_view(tensor.name).substr(tensor.name.find('.', std::size("blk.") - 1));
    add_real(index, fmt::format("blk.{}{}", *tensor.layer - range_.first, rest));
  } else if (is_shared_tensor(tensor.name) || (tensor.name == "output.bias" && last_)) {
    add_real(index, tensor.name);
  }
}

std::vector<MetadataEntry> Cutter::metadata() const {
  std::string prefix = manifest_.architecture + ".";
  std::string pattern = prefix + "attention.sliding_window_pattern";
  std::vector<MetadataEntry> result;
  for (const MetadataEntry& entry : manifest_.metadata) {
    std::string_view key = entry.key;
    bool in_architecture = key.starts_with(prefix);
    std::string_view rest = in_architecture ? key.substr(prefix.size()) : std::string_view();
    if (key.starts_with("tokenizer.") || key.starts_with("split.") || key.starts_with("shoal.shard.")) continue;
    if (rest == "block_count" || rest == "vocab_size") continue;
    if (key == pattern && !manifest_.sliding_window.empty()) continue;
    if (is_per_layer_key(rest) && entry.type == GgufType::kArray) {
      result.push_back(entry.slice(range_.first, range_.count()));
    } else {
      result.push_back(entry);
    }
  }
  result.push_back(MetadataEntry::of_uint32(prefix + "block_count", range_.count()));
  result.push_back(MetadataEntry::of_uint32(prefix + "vocab_size", vocabulary_));
  if (!manifest_.sliding_window.empty()) {
    auto begin = manifest_.sliding_window.begin();
    result.push_back(MetadataEntry::of_bools(pattern, {begin + range_.first, begin + range_.last}));
  }
  result.push_back(MetadataEntry::of_string("tokenizer.ggml.model", "no_vocab"));
  result.push_back(MetadataEntry::of_uint32(std::string(kShardFirstKey), range_.first));
  result.push_back(MetadataEntry::of_uint32(std::string(kShardLastKey), range_.last));
  result.push_back(MetadataEntry::of_uint32(std::string(kShardLayersKey), manifest_.layer_count));
  return result;
}

// Behind the tensors of a first stage: the real embedding.
Bytes Cutter::make_header(std::vector<Tensor>& table, std::uint64_t& file_bytes) const {
  std::vector<MetadataEntry> entries = metadata();
  if (!first_ || last_) return write_gguf_header(entries, table, manifest_.alignment, file_bytes);
  const Tensor& rows = manifest_.tensors[index_of(kEmbedding)];
  entries.push_back(MetadataEntry::of_uint32(std::string(kShardRowsTypeKey), rows.type));
  entries.push_back(MetadataEntry::of_uint32(std::string(kShardRowsCountKey), manifest_.vocabulary_size));
  // How long the header is does not depend on the number in it.
  entries.push_back({std::string(kShardRowsOffsetKey), GgufType::kUint64, Bytes(sizeof(std::uint64_t))});
  write_gguf_header(entries, table, manifest_.alignment, file_bytes);
  const std::uint64_t at = (file_bytes + manifest_.alignment - 1) / manifest_.alignment * manifest_.alignment;
  store_le(entries.back().value.data(), at);
  Bytes header = write_gguf_header(entries, table, manifest_.alignment, file_bytes);
  file_bytes = at + rows.size_bytes;
  return header;
}

Cut Cutter::assemble() {
  Cut cut;
  cut.range = range_;
  std::vector<Tensor> table;
  for (const ShardTensor& entry : tensors_) table.push_back(entry.tensor);
  PieceSource header;
  header.made = make_header(table, cut.file_bytes);
  header.size_bytes = header.made.size();
  header.name = "the header";
  cut.offsets.push_back(0);
  cut.sources.push_back(std::move(header));
  const auto add = [&](std::uint32_t source, std::uint64_t offset) {
    const Tensor& tensor = manifest_.tensors[source];
    cut.offsets.push_back(offset);
    cut.sources.push_back({{}, source, tensor.file, tensor.offset, tensor.size_bytes, tensor.name});
  };
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].source) add(*tensors_[i].source, table[i].offset);
  }
  if (first_ && !last_) {
    const std::uint32_t rows = index_of(kEmbedding);
    add(rows, cut.file_bytes - manifest_.tensors[rows].size_bytes);
  }
  return cut;
}

// "4, 8" around a forbidden border.
std::string nearest_cuts(const Manifest& manifest, std::uint32_t border) {
  std::uint32_t below = border, above = border;
  while (!manifest.cut_allowed[below]) --below;  // both ends are always allowed
  while (!manifest.cut_allowed[above]) ++above;
  return fmt::format("{} or {}", below, above);
}

Status check_range(const Manifest& manifest, LayerRange range) {
  auto refuse = [](std::string why) { return Error{ErrorCode::kInvalidArgument, std::move(why)}; };
  if (manifest.shard_of) {
    return refuse(fmt::format("{} is itself a shard of the layers {}; cut from the whole model",
                              manifest.files[0].string(), manifest.shard_of->text()));
  }
  if (range.first >= range.last || range.last > manifest.layer_count) {
    return refuse(fmt::format("the layers {} cannot be cut: {} has the layers 0:{}; give FIRST:LAST with FIRST < LAST",
                              range.text(), manifest.name, manifest.layer_count));
  }
  for (std::uint32_t border : {range.first, range.last}) {
    if (manifest.cut_allowed[border]) continue;
    return refuse(fmt::format("{} cannot be cut before layer {} (allowed: {}); the nearest cuts that work are {}",
                              manifest.architecture, border, manifest.cut_rule, nearest_cuts(manifest, border)));
  }
  const Architecture* architecture = find_architecture(manifest.architecture);
  if (range.count() != manifest.layer_count && range.count() == architecture->layers_with_own_scale) {
    return refuse(
        fmt::format("{} cannot be cut into a stage of {} layers: llama.cpp takes it for another model; cut "
                    "one layer more or fewer",
                    manifest.architecture, range.count()));
  }
  return {};
}

using Sink = std::function<Status(ByteSpan)>;

Status read_run(const FileDescriptor& file, const fs::path& name, std::uint64_t offset, std::uint64_t size,
                Bytes& buffer, const Sink& sink) {
  buffer.resize(kCopyBytes);
  while (size > 0) {
    auto part = std::span(buffer).first(std::min<std::uint64_t>(size, buffer.size()));
    SHOAL_RETURN_IF_ERROR(file.read_at(offset, part, name));
    SHOAL_RETURN_IF_ERROR(sink(part));
    offset += part.size();
    size -= part.size();
  }
  return {};
}

Result<std::vector<FileDescriptor>> open_all(const Manifest& manifest) {
  std::vector<FileDescriptor> files;
  for (const fs::path& path : manifest.files) {
    SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_read(path));
    files.push_back(std::move(file));
  }
  return files;
}

Status copy_sources(const Manifest& manifest, const Cut& cut, const FileDescriptor& to, const fs::path& name) {
  SHOAL_ASSIGN_OR_RETURN(std::vector<FileDescriptor> files, open_all(manifest));
  Bytes buffer;
  for (std::size_t i = 0; i < cut.sources.size(); ++i) {
    const PieceSource& source = cut.sources[i];
    std::uint64_t at = cut.offsets[i];
    Sink sink = [&](ByteSpan bytes) -> Status {
      SHOAL_RETURN_IF_ERROR(to.write_at(at, bytes, name));
      at += bytes.size();
      return {};
    };
    if (!source.made.empty()) {
      SHOAL_RETURN_IF_ERROR(sink(source.made));
    } else {
      SHOAL_RETURN_IF_ERROR(
          read_run(files[source.file], manifest.files[source.file], source.offset, source.size_bytes, buffer, sink));
    }
  }
  return {};
}

Status write_shard_file(const Manifest& manifest, const Cut& cut, const fs::path& temporary) {
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_write(temporary));
  // To nothing first: what a broken run may have left must not show through the holes.
  if (::ftruncate(file.get(), 0) != 0 || ::ftruncate(file.get(), static_cast<off_t>(cut.file_bytes)) != 0) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("cannot make {} {} long", temporary.string(), format_size(cut.file_bytes))};
  }
  SHOAL_RETURN_IF_ERROR(copy_sources(manifest, cut, file, temporary));
  if (::fsync(file.get()) != 0) return Error{ErrorCode::kInternal, "cannot sync " + temporary.string()};
  return {};
}

}  // namespace

Digest ShardLayout::id() const {
  Bytes words;
  auto put = [&](std::uint64_t value) {
    words.resize(words.size() + sizeof value);
    store_le(words.data() + words.size() - sizeof value, value);
  };
  put(range.first);
  put(range.last);
  put(file_bytes);
  for (const Piece& piece : pieces) {
    put(piece.offset);
    put(piece.size_bytes);
    words.insert(words.end(), piece.sha256.bytes.begin(), piece.sha256.bytes.end());
  }
  return Sha256::of(words);
}

std::uint64_t ShardLayout::bytes() const {
  std::uint64_t sum = 0;
  for (const Piece& piece : pieces) sum += piece.size_bytes;
  return sum;
}

Status ShardLayout::check() const {
  auto corrupt = [](std::string what) { return Error{ErrorCode::kCorrupt, "the layout of a shard is wrong: " + what}; };
  if (range.first >= range.last) return corrupt("its layers are " + range.text());
  if (file_bytes > kShardBytesMax) return corrupt("its file would be larger than any model");
  if (pieces.empty() || pieces.size() > kPiecesMax) return corrupt(fmt::format("it has {} pieces", pieces.size()));
  if (pieces[0].offset != 0) return corrupt("its header does not stand at the start");
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (piece.size_bytes == 0 || piece.offset < end || piece.size_bytes > file_bytes ||
        piece.offset > file_bytes - piece.size_bytes) {
      return corrupt(fmt::format("piece {} does not lie inside the file or after the one before it", i));
    }
    end = piece.offset + piece.size_bytes;
  }
  return {};
}

Result<Cut> plan_cut(const Manifest& manifest, LayerRange range) {
  SHOAL_RETURN_IF_ERROR(check_range(manifest, range));
  return Cutter(manifest, range).run();
}

Result<std::vector<Digest>> hash_tensors(const Manifest& manifest, const Progress& progress) {
  SHOAL_ASSIGN_OR_RETURN(std::vector<FileDescriptor> files, open_all(manifest));
  std::vector<Digest> digests;
  std::uint64_t done = 0;
  Bytes buffer;
  Sha256 hash;
  for (const Tensor& tensor : manifest.tensors) {
    Sink sink = [&](ByteSpan bytes) -> Status {
      hash.update(bytes);
      done += bytes.size();
      if (!progress || progress(done)) return {};
      return Error{ErrorCode::kCancelled, "the hashing of " + manifest.files[tensor.file].string() + " was given up"};
    };
    SHOAL_RETURN_IF_ERROR(
        read_run(files[tensor.file], manifest.files[tensor.file], tensor.offset, tensor.size_bytes, buffer, sink));
    digests.push_back(hash.finish());
  }
  return digests;
}

ShardLayout make_layout(const Manifest& manifest, const Cut& cut, const std::vector<Digest>& tensor_hashes) {
  SHOAL_ASSERT(tensor_hashes.size() == manifest.tensors.size());
  ShardLayout layout{cut.range, cut.file_bytes, {}};
  for (std::size_t i = 0; i < cut.sources.size(); ++i) {
    const PieceSource& source = cut.sources[i];
    Digest digest = source.made.empty() ? tensor_hashes[source.tensor] : Sha256::of(source.made);
    layout.pieces.push_back({digest, cut.offsets[i], source.size_bytes});
  }
  return layout;
}

Status check_free_space(const fs::path& directory, std::uint64_t bytes, std::string_view what) {
  struct statvfs info;
  if (::statvfs(directory.c_str(), &info) != 0) return {};  // not every file system can say; writing will tell
  std::uint64_t available = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  if (available >= bytes) return {};
  return Error{
      ErrorCode::kResourceExhausted,
      fmt::format("{} needs {} on the disk of {}, which has {} free: make room for {} more", what, format_size(bytes),
                  directory.string(), format_size(available), format_size(bytes - available))};
}

Status write_shard(const Manifest& manifest, const Cut& cut, const fs::path& out) {
  std::error_code error;
  for (const fs::path& file : manifest.files) {
    if (fs::equivalent(file, out, error)) {
      return Error{ErrorCode::kInvalidArgument, out.string() + " is the model itself; write the shard somewhere else"};
    }
  }
  std::uint64_t bytes = 0;
  for (const PieceSource& source : cut.sources) bytes += source.size_bytes;
  fs::path directory = out.has_parent_path() ? out.parent_path() : fs::path(".");
  SHOAL_RETURN_IF_ERROR(check_free_space(directory, bytes, fmt::format("the shard {}", cut.range.text())));
  fs::path temporary = out;
  temporary += fmt::format(".{}.tmp", ::getpid());
  Status written = write_shard_file(manifest, cut, temporary);
  if (written.ok()) {
    fs::rename(temporary, out, error);
    if (!error) return {};
    written = Error{ErrorCode::kInternal, fmt::format("cannot make {}: {}", out.string(), error.message())};
  }
  fs::remove(temporary, error);
  return written;
}

}  // namespace shoal::model
