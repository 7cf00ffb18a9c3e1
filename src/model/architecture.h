// The architectures Shoal can cut, and what a cut must respect in each.
//
// An architecture is in the table when its graph in llama.cpp's src/models/*.cpp (v0.5.0) was read and does all this:
//   - takes hidden states through build_inp_embd and leaves them alone before the first block (gemma3 scales tokens
//     only; gemma and gemma2 scale every input, granite too, gpt2 adds positions: they cannot be cut);
//   - names the output of every block "l_out", and hands exactly that tensor to the next block;
//   - makes nothing depend on a layer's number, or on how many there are, but what the fields below describe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::model {

// What llama.cpp's loader makes of output.weight.
enum class OutputTensor : std::uint8_t {
  kOptional,  // missing: token_embd.weight is the output (tied)
  kRequired,  // must be there, on every stage
  kNever,     // always tied: an output.weight would be refused as unknown
};

struct Architecture {
  std::string_view name;  // general.architecture
  OutputTensor output = OutputTensor::kOptional;
  // Layers with a sliding window repeat with this period: all but the last of each. llama.cpp's default, and
  // <arch>.attention.sliding_window_pattern (a number, or a flag per layer) changes it (load_swa_pattern). A cut writes
  // the flags of its own layers, so cuts are free but for one thing: llama.cpp wants a layer with a window in every
  // stage. 0: the architecture has no windows by layer.
  std::uint32_t window_period = 0;
  bool window_needs_size = false;  // windows only when <arch>.attention.sliding_window is there and not zero
  // Something repeats by layer number with this period and no key can say it differently: cuts at its multiples only.
  // smollm3: every fourth layer goes without rotary positions (n_no_rope_layer_step, fixed).
  std::uint32_t cut_period = 1;
  // With exactly this many layers llama.cpp scales attention by the embedding's width over the heads and not by the
  // head's length (gemma3's 27B: 62 layers). No key overrides it, so where the two differ no cut is exact. 0: none.
  std::uint32_t layers_with_own_scale = 0;
  // Rows of the embedding are multiplied by sqrt(embedding_length) where tokens come in (and hidden states are not).
  bool scales_token_rows = false;
};

// nullptr: not in the table.
const Architecture* find_architecture(std::string_view name);
// "arcee, cohere2, ...": for messages.
std::string architecture_names();

}  // namespace shoal::model
