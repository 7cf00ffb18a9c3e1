// What the outcome of a stage's proof depends on, besides processor and build: see proof_record.h. Pure; any thread.
#pragma once

#include "engine/llama_instance.h"
#include "engine/proof_record.h"
#include "model/manifest.h"

namespace shoal::engine {

// `manifest`: of the stage's file. `options.kernels`: beyond `exact`, they follow from the tensors' types and shapes.
ProofSubject proof_subject(const model::Manifest& manifest, const InstanceOptions& options);

}  // namespace shoal::engine
