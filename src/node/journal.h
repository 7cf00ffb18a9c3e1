// What a stage gave for the rows of live sequences, so that a successor that is new can be given it again
// (docs/architecture.md §6).
//
// Of each sequence the rows [0, n) or nothing, each as it was sent, all in one type of activations: a row at position p
// replaces what was there from p on; one that leaves a gap, or comes in another type, makes the sequence forgotten, and
// so does one that comes when there is no room, for the sequence that was not written for longest. A sequence that is
// forgotten is not written until it begins again at position 0. At most bytes_max are held; sequences that were forked
// share what they have in common, and each counts in full. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/activations.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/stage_spec.h"

namespace shoal::node {

// Unless the owner says otherwise: of a model 4096 wide, 4096 rows.
inline constexpr std::uint64_t kJournalBytesMax = 64u << 20;

class Journal {
 public:
  explicit Journal(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  void write(SequenceId sequence, std::uint32_t position, ActivationType type, ByteSpan row);
  // fork.sequence begins with the first rows of fork.from, if they are here.
  void fork(const Fork& fork);
  void forget(SequenceId sequence);

  struct Rows {
    ActivationType type = ActivationType::kF32;
    Bytes bytes;  // row after row
  };
  // nullopt: not all of them are here.
  std::optional<Rows> find(SequenceId sequence, std::uint32_t first, std::uint32_t count) const;
  std::uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kBlockRows = 32;
  using Block = std::shared_ptr<Bytes>;  // of kBlockRows rows, the last one of fewer; shared by forks until written
  struct Sequence {
    ActivationType type = ActivationType::kF32;
    std::size_t row_bytes = 0;
    std::uint32_t rows = 0;
    std::vector<Block> blocks;
    std::uint64_t written = 0;  // the larger, the later
  };
  bool make_room(std::uint64_t bytes, SequenceId for_sequence);
  void cut(Sequence& sequence, std::uint32_t rows);

  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::uint64_t writes_ = 0;
  std::map<SequenceId, Sequence> sequences_;
};

}  // namespace shoal::node
