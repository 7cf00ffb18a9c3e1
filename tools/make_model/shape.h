// Which tensors a model of given options has: names, shapes, types, and how wide their random values are spread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ggml.h"
#include "make_model/make_model.h"

namespace shoal::tools {

struct TensorShape {
  std::string name;
  std::vector<std::int64_t> extents;
  ggml_type type = GGML_TYPE_F32;
  float center = 0;  // values are uniform in [center - spread, center + spread]
  float spread = 0;
};

// Names of the types of ModelOptions::type; a mix has the type that most of its matrices have.
std::optional<ggml_type> base_type(const std::string& name);

// The options with their defaults filled in; kInvalidArgument names the one that cannot be.
Result<ModelOptions> complete_options(ModelOptions options);

// In llama.cpp's usual order. `options` are complete.
std::vector<TensorShape> tensor_shapes(const ModelOptions& options, std::int64_t vocabulary_size);

}  // namespace shoal::tools
