// The embedding of a first stage, looked up row by row in the mapped shard.
//
// llama.cpp loads such a shard with an embedding of one row (model/cut.h), so it keeps neither the matrix in memory nor
// room for logits that nobody asks for. A row is made with the arithmetic of ggml_get_rows, and of ggml_scale where the
// architecture scales: the same bits as in the whole model. Memory: the file's pages that were touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/result.h"
#include "model/manifest.h"

namespace shoal::engine {

class TokenRows {
 public:
  // `manifest` has token_rows and one file. kNotFound, kCorrupt: the file is not what the manifest says.
  static Result<TokenRows> open(const model::Manifest& manifest);

  std::uint32_t count() const { return count_; }
  // Of the whole matrix; in memory are the pages that were touched, and the system may drop them again.
  std::uint64_t size_bytes() const { return std::uint64_t{count_} * row_bytes_; }
  // Appends embedding_length floats. `token` is below count().
  void append(Token token, std::vector<float>& out) const;

 private:
  MappedFile file_;
  const std::uint8_t* rows_ = nullptr;
  std::uint32_t type_ = 0;
  std::uint32_t count_ = 0;
  std::size_t width_ = 0;
  std::size_t row_bytes_ = 0;
  float scale_ = 0;  // 0: none
};

}  // namespace shoal::engine
