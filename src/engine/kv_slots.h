// Which slot and how many KV cells each sequence of a stage has. Owned by the stage's thread.
//
// Attention sums over a sequence's cells in the order they lie in, so equal bits need every sequence's cells ascending
// in position order, whatever other sequences did. llama.cpp fills holes, which would break that; so there are no
// holes: the cells of a freed sequence, and those that a truncation drops below the top, go to a graveyard slot and
// stay occupied (dropped cells at the very top are free again), new rows always go to the top, and when the graveyard
// is large or in the way, all living sequences are copied out, the KV is emptied, and they are copied back one after
// the other (a memory copy; for that moment the living KV exists twice).
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "engine/llama_instance.h"

namespace shoal::engine {

class KvSlots {
 public:
  struct Sequence {
    std::int32_t slot = 0;
    std::uint32_t length = 0;  // positions held: 0 .. length - 1
  };

  KvSlots(LlamaInstance& instance, const StageSettings& settings);

  // nullptr: unknown. Valid until the next call of a method that is not const.
  const Sequence* find(SequenceId sequence) const;
  // A new, empty sequence. kResourceExhausted: settings.sequences_max are here already.
  Result<std::int32_t> open(SequenceId sequence);
  // Makes sure the next `rows` rows, of any sequences, fit. kResourceExhausted: kv_tokens_total would be exceeded.
  // kInternal: llama.cpp could not put a sequence back; that sequence is lost.
  Status reserve(std::uint32_t rows);
  // After a successful eval.
  void appended(SequenceId sequence, std::uint32_t rows);
  // The topmost `rows` cells are this sequence's newest rows.
  void note_top(SequenceId sequence, std::uint32_t rows) { top_ = {sequence, rows}; }
  // A new sequence with the first `length` positions of `from`, which has them: in the same cells, until they are
  // copied out and back. kResourceExhausted: no slot, or kv_tokens_total would be exceeded if each had cells of its
  // own.
  Status fork(SequenceId from, SequenceId sequence, std::uint32_t length);
  // Drops the positions from `length` on; `length` is not more than it has.
  void truncate(SequenceId sequence, std::uint32_t length);
  // Takes a sequence out again that holds no rows.
  void close_empty(SequenceId sequence);
  void free(SequenceId sequence);
  // `length` positions from a checked payload, as a new sequence.
  Status restore(SequenceId sequence, std::uint32_t length, ByteSpan payload);

 private:
  Status compact();
  Error full(std::uint32_t rows) const;

  LlamaInstance& instance_;
  std::uint32_t sequences_max_;
  std::uint32_t tokens_total_;
  std::int32_t graveyard_;
  std::vector<std::int32_t> free_slots_;  // the smallest at the back
  std::unordered_map<SequenceId, Sequence> sequences_;
  struct Top {
    SequenceId sequence;
    std::uint32_t rows = 0;
  };
  Top top_;                     // rows 0: not known whose cells are at the top
  std::uint32_t living_ = 0;    // cells that the sequences would take without sharing any
  std::uint32_t occupied_ = 0;  // cells of sequences and of the graveyard: the next row goes to this cell
};

}  // namespace shoal::engine
