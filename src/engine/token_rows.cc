#include "engine/token_rows.h"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "base/assert.h"
#include "ggml.h"
#include "model/architecture.h"

namespace shoal::engine {

Result<TokenRows> TokenRows::open(const model::Manifest& manifest) {
  SHOAL_ASSERT(manifest.token_rows && manifest.files.size() == 1);
  const model::Tensor& tensor = *manifest.token_rows;
  TokenRows rows;
  SHOAL_ASSIGN_OR_RETURN(rows.file_, MappedFile::open(manifest.files[0]));
  const ByteSpan bytes = rows.file_.bytes();
  const bool readable =
      tensor.type == GGML_TYPE_F32 || ggml_get_type_traits(static_cast<ggml_type>(tensor.type))->to_float != nullptr;
  if (!readable || tensor.size_bytes > bytes.size() || tensor.offset > bytes.size() - tensor.size_bytes) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{} is corrupt: its embedding cannot be read", manifest.files[0].string())};
  }
  rows.rows_ = bytes.data() + tensor.offset;
  rows.type_ = tensor.type;
  rows.width_ = manifest.embedding_length;
  rows.count_ = static_cast<std::uint32_t>(tensor.shape[1]);
  rows.row_bytes_ = tensor.size_bytes / tensor.shape[1];
  if (model::find_architecture(manifest.architecture)->scales_token_rows) {
    rows.scale_ = std::sqrt(static_cast<float>(manifest.embedding_length));
  }
  return rows;
}

void TokenRows::append(Token token, std::vector<float>& out) const {
  SHOAL_ASSERT(token >= 0 && static_cast<std::uint32_t>(token) < count_);
  const std::uint8_t* row = rows_ + static_cast<std::size_t>(token) * row_bytes_;
  out.resize(out.size() + width_);
  float* const to = out.data() + out.size() - width_;
  if (type_ == GGML_TYPE_F32) {
    std::memcpy(to, row, row_bytes_);
  } else {
    ggml_get_type_traits(static_cast<ggml_type>(type_))->to_float(row, to, static_cast<std::int64_t>(width_));
  }
  if (scale_ == 0) return;
  for (std::size_t i = 0; i < width_; ++i) to[i] *= scale_;
}

}  // namespace shoal::engine
