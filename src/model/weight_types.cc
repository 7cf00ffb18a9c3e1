#include "model/weight_types.h"

#include <map>

#include "ggml.h"

namespace shoal::model {

bool is_matrix(const Tensor& tensor) {
  const bool named = tensor.name == "output.weight" || tensor.name == "token_embd.weight" || tensor.layer.has_value();
  return named && tensor.name.ends_with(".weight") && tensor.shape.size() >= 2 && tensor.shape.size() <= 3 &&
         tensor.type < GGML_TYPE_COUNT && tensor.shape[1] > 1;
}

std::vector<WeightType> weight_types(const Manifest& manifest) {
  std::map<std::uint32_t, std::uint64_t> bytes_of;
  for (const Tensor& tensor : manifest.tensors) {
    if (is_matrix(tensor)) bytes_of[tensor.type] += tensor.size_bytes;
  }
  std::vector<WeightType> types;
  for (const auto& [type, bytes] : bytes_of) types.push_back({type, bytes});
  return types;
}

}  // namespace shoal::model
