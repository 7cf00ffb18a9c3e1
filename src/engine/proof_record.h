// What the stages of a process have proven about exactness, so that a stage loaded beside one that serves on a slow
// core does not compute 98 rows to learn what is known.
//
// Why a proof holds for another stage. Whether a row keeps its bits in company is decided by kernels, and kernels are
// chosen by processor, build, weight type, shape, threads and number of rows: never by the weights' values or by where
// a layer stands in the model. So a layer of the same kind (tensors with their types and shapes, the metadata of that
// layer, window, place in the architecture's period) behaves the same, and layers that all keep every row's bits keep
// them one behind the other. A fact holds under the same setting alone: all other metadata, the plan's settings,
// threads and the cores they run on, exact kernels or the fastest.
//
// Where it does not hold, or might not, the stage computes:
//   - a layer of a new kind, or another setting: the whole proof (ProofDepth::kFull);
//   - layers that are known, between ends that are not (tokens or hidden states in; the output's matrix, before which
//     the last layer drops rows): 32 rows, in batches as a last stage computes them (kEnds);
//   - everything known: 10 rows (kSpot). They find weights that give no finite numbers, and what the reasoning above
//     may have missed; a difference is then the stage's result, and all that was known under its setting is forgotten.
// A mixture's experts get rows by what the weights are, in any proof: there a proof was always a sample.
//
// A proof that failed is no fact: its cause may pass, and a stage must not be refused for another's. But where the
// fastest kernels were asked for nothing hangs on the proof, so there the difference is kept and told again.
//
// Any thread. Bounded: when it is full everything is forgotten, which costs time and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace shoal::engine {

enum class ProofDepth : std::uint8_t {
  kFull,  // exactness.h
  kEnds,  // 16 rows together and in batches of 1, 2, 5 and 8, each with output: 32 rows, 5 passes over the weights
  kSpot,  // five rows together, and one and four: 10 rows, 3 passes
};

// A stage as its proof sees it (proof_subject.h). Digests of texts that name everything the header above lists.
struct ProofSubject {
  Digest setting;
  std::set<Digest> layers;           // kinds of the layers; of a last stage without its last layer
  std::optional<Digest> last_layer;  // of a last stage: that layer's kind, if it were not the last
  std::set<Digest> ends;             // what comes in; of a last stage, its last layer with the output
  std::string name;                  // "layers 0-10"
};

class ProofRecord {
 public:
  struct Known {
    ProofDepth depth = ProofDepth::kFull;   // what is left to be computed
    std::string when;                       // unless kFull: "layers 0-10", loaded before
    std::optional<std::string> difference;  // that was found then
  };
  Known find(const ProofSubject& subject) const;
  void note_proven(const ProofSubject& subject);
  void note_difference(const ProofSubject& subject, const std::string& difference);
  void forget(const ProofSubject& subject);  // all under its setting

  static constexpr std::size_t kSettingsMax = 32;
  static constexpr std::size_t kKindsMax = 1024;  // of a setting
  static constexpr std::size_t kDifferencesMax = 16;

 private:
  struct Difference {
    std::set<Digest> kinds;
    std::string when, text;
  };
  struct Facts {
    std::map<Digest, std::string> kinds;  // with who proved it first
    std::vector<Difference> differences;
  };
  Facts& facts_of(const Digest& setting);

  mutable std::mutex mutex_;
  std::map<Digest, Facts> settings_;
};

}  // namespace shoal::engine
