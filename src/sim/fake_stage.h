// A stage without a model: every layer is a hash chain. For each sequence layer l keeps a state h_l (its "KV"):
//
//   h_l = H(h_l, x_l)      x_{l+1} = H(x_l, h_l)      x_0 = H(position, token)
//
// so that what comes out of the last layer depends on every row that every layer was given for the sequence, in their
// order, and on nothing else: not on the cuts, the chunks or the companions. A row that is lost, repeated, out of order
// or meets another sequence's KV changes the answer. The next token is the last output modulo the vocabulary.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"

namespace shoal::sim {

using Value = std::uint64_t;  // a "hidden state"

Value hash(Value a, Value b);
Value embed(std::uint32_t position, Token token);

struct FakeRow {
  SequenceId sequence;
  std::uint32_t position = 0;
  Value value = 0;  // in: what the stage is given; out: what it gives
};

// Ways to break a stage, so that tests can prove that breaking is seen.
enum class StageFault {
  kNone,
  kForgetRows,   // rows pass, the KV does not learn of them: as if a step had been lost
  kRepeatRows,   // rows enter the KV twice: as if a step had come twice
  kReverseRows,  // rows enter the KV in the wrong order
  kSwapKv,       // a sequence meets another sequence's KV
  kKeepDrafts,   // a truncation drops positions, and the KV remembers them
  kForkAll,      // a fork has as many positions as it should, and the KV of all of its source
};

class FakeStage {
 public:
  FakeStage(LayerRange range, const StageSettings& settings) : range_(range), settings_(settings) {}

  // Drops `frees` (unknown ones: nothing happens), then forks, then truncates, then computes the rows in place.
  // kInvalidArgument: a row is not the next of its sequence, a truncation keeps more than there is, or a fork's source
  // has too few positions or its new sequence is known. kResourceExhausted: no room for another sequence or cell. The
  // rows were not computed then. With a fault none of this is checked.
  Status compute(std::span<const SequenceId> frees, std::vector<FakeRow>& rows, StageFault fault = StageFault::kNone,
                 std::span<const Truncation> truncations = {}, std::span<const Fork> forks = {});

  LayerRange range() const { return range_; }
  std::size_t sequences() const { return kv_.size(); }

 private:
  struct Kv {
    std::uint32_t next_position = 0;
    std::vector<Value> layers;
    std::vector<std::vector<Value>> before;  // each row, for truncations and forks

    void cut(std::uint32_t length);
  };
  Status fork(const Fork& fork, StageFault fault);
  Status truncate(const Truncation& truncation);
  Status check(const std::vector<FakeRow>& rows) const;
  Kv& kv_of(SequenceId sequence);
  Value through(Kv& kv, Value value) const;

  LayerRange range_;
  StageSettings settings_;
  std::map<SequenceId, Kv> kv_;
  std::uint64_t cells_ = 0;
};

// The answer that one whole model alone gives: what every shoal must give, too.
struct Answer {
  std::vector<Token> tokens;
  bool stopped = false;  // by the model, not by tokens_max
};
Answer answer_alone(std::uint32_t layers, const std::vector<Token>& prompt, std::uint32_t tokens_max,
                    std::uint32_t vocabulary);
Token token_of(Value output, std::uint32_t vocabulary);
bool ends(Value output);

}  // namespace shoal::sim
