#include "model/architecture.h"

#include <array>

namespace shoal::model {
namespace {

constexpr std::array kArchitectures = {
    Architecture{.name = "arcee"},
    Architecture{.name = "cohere2", .output = OutputTensor::kNever, .window_period = 4},
    Architecture{.name = "gemma3",
                 .window_period = 6,
                 .window_needs_size = true,
                 .layers_with_own_scale = 62,
                 .scales_token_rows = true},
    Architecture{.name = "gpt-oss", .output = OutputTensor::kRequired, .window_period = 2},
    Architecture{.name = "internlm2", .output = OutputTensor::kRequired},
    Architecture{.name = "llama"},
    Architecture{.name = "mistral3"},
    Architecture{.name = "olmo2", .output = OutputTensor::kRequired, .window_period = 4, .window_needs_size = true},
    Architecture{.name = "olmoe", .output = OutputTensor::kRequired},
    Architecture{.name = "phi3"},  // its sliding window is switched off in llama.cpp
    Architecture{.name = "qwen2"},
    Architecture{.name = "qwen2moe", .output = OutputTensor::kRequired},
    Architecture{.name = "qwen3"},
    Architecture{.name = "qwen3moe"},
    Architecture{.name = "seed_oss"},
    Architecture{.name = "smollm3", .cut_period = 4},
    Architecture{.name = "starcoder2"},
};

}  // namespace

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& architecture : kArchitectures) {
    if (!names.empty()) names += ", ";
    names += architecture.name;
  }
  return names;
}

}  // namespace shoal::model
