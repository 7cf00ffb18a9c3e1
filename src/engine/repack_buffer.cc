#include "engine/repack_buffer.h"

#include <cstring>
#include <memory>

#include "ggml-backend.h"
#include "ggml.h"

namespace shoal::engine {

ggml_backend_buffer_type* repack_buffer_type() {
  auto* device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return nullptr;
  auto extra_buffer_types = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  if (extra_buffer_types == nullptr) return nullptr;
  for (auto* type = extra_buffer_types(device); type != nullptr && *type != nullptr; ++type) {
    if (std::strcmp(ggml_backend_buft_name(*type), "CPU_REPACK") == 0) return *type;
  }
  return nullptr;
}

// As llama.cpp asks before it places a weight (weight_buft_supported in llama-model-loader.cpp, v0.5.0).
bool can_repack(std::uint32_t type, std::int64_t columns, std::int64_t rows, std::int64_t experts) {
  auto* buffer_type = repack_buffer_type();
  if (buffer_type == nullptr) return false;
  std::unique_ptr<ggml_context, decltype(&ggml_free)> context(ggml_init({ggml_tensor_overhead() * 8, nullptr, true}),
                                                              &ggml_free);
  const auto weight_type = static_cast<ggml_type>(type);
  ggml_tensor* weights = experts > 1 ? ggml_new_tensor_3d(context.get(), weight_type, columns, rows, experts)
                                     : ggml_new_tensor_2d(context.get(), weight_type, columns, rows);
  ggml_tensor* operation = nullptr;
  if (experts > 1) {
    auto* in = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, columns, 1, 4);
    operation = ggml_mul_mat_id(context.get(), weights, in, ggml_new_tensor_2d(context.get(), GGML_TYPE_I32, 1, 4));
  } else {
    operation = ggml_mul_mat(context.get(), weights, ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, columns, 4));
  }
  weights->buffer = ggml_backend_buft_alloc_buffer(buffer_type, 0);  // empty: only its type is looked at
  const bool supported =
      ggml_backend_dev_supports_op(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU), operation);
  ggml_backend_buffer_free(weights->buffer);
  return supported;
}

}  // namespace shoal::engine
