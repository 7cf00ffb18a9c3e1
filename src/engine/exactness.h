// Exactness of a stage: the kernels that keep it, what they cost, and the proof on the loaded stage.
//
// The choice of kernels is by weight type (kernel_probe.h), the same for every cut of a model. The proof then takes the
// loaded stage as it is, with its architecture, threads and KV type:
//   - 63 random rows go in as one micro-batch, into sequence A;
//   - the first 29 of them go into sequence B in micro-batches of 1 (five times), 5 (twice), 2, 4 and 8: single rows
//     and batches both odd and even, because kernels that pair rows (i8mm) treat these differently;
//   - A is copied, through export and import, until more than 256 KV cells are taken, which makes llama.cpp look at 512
//     and choose its attention for long contexts; then rows 29 to 34 follow in B, one alone and five together.
// Every output must have A's bits. B's rows read only B's KV, so a KV row that one micro-batch size wrote differently
// shows in all later rows. A last stage compares the logits of 16 rows instead (it computes no more at a time).
// Afterwards the KV is empty. Work: 98 rows, 13 passes over the weights; on a slow core that serves meanwhile, seconds.
// Where part of it is known from stages before (proof_record.h), less is computed, in the same way.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/llama_instance.h"
#include "engine/proof_record.h"
#include "model/manifest.h"

namespace shoal::engine {

struct ExactKernels {
  KernelChoice choice;
  std::string left_out;  // "repacked Q4_K, tinyBLAS F16": fast kernels that would break exactness here; "": none
};
// The exact kernels for a model with these tensors.
ExactKernels choose_exact_kernels(const model::Manifest& manifest);

// "1, 2, 4, 5, 8 and 63": the micro-batches of a proof.
std::string_view batch_sizes(ProofDepth depth);

// nullopt: proven. Else what differed, in words. An error of eval is passed on.
Result<std::optional<std::string>> prove_exactness(LlamaInstance& instance, const InstanceOptions& options,
                                                   ProofDepth depth = ProofDepth::kFull);

struct ProofResult {
  std::optional<std::string> difference;  // nullopt: exact
  std::string how;                        // "proven in micro-batches of ..."
};
// The proof of a stage that was just loaded, as far as `record` does not make it superfluous (nullptr: all of it). What
// it shows is noted. An error of eval is passed on, and not noted.
Result<ProofResult> prove(LlamaInstance& instance, const model::Manifest& manifest, const InstanceOptions& options,
                          ProofRecord* record);

}  // namespace shoal::engine
