#include "node/journal.h"

#include <algorithm>

namespace shoal::node {

void Journal::forget(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  bytes_ -= found->second.rows * found->second.row_bytes;
  sequences_.erase(found);
}

// Others go first, whoever was not written for longest; false: it alone would be too long.
bool Journal::make_room(std::uint64_t bytes, SequenceId for_sequence) {
  while (bytes_ + bytes > bytes_max_) {
    auto oldest = sequences_.end();
    for (auto next = sequences_.begin(); next != sequences_.end(); ++next) {
      if (next->first == for_sequence) continue;
      if (oldest == sequences_.end() || next->second.written < oldest->second.written) oldest = next;
    }
    if (oldest == sequences_.end()) return false;
    forget(oldest->first);
  }
  return true;
}

void Journal::cut(Sequence& sequence, std::uint32_t rows) {
  if (rows >= sequence.rows) return;
  bytes_ -= (sequence.rows - rows) * sequence.row_bytes;
  sequence.rows = rows;
  sequence.blocks.resize((rows + kBlockRows - 1) / kBlockRows);
}

void Journal::write(SequenceId id, std::uint32_t position, ActivationType type, ByteSpan row) {
  auto found = sequences_.find(id);
  if (found == sequences_.end()) {
    if (position > 0 || row.empty()) return;
    found = sequences_.emplace(id, Sequence{type, row.size(), 0, {}, 0}).first;
  }
  Sequence& sequence = found->second;
  if (position > sequence.rows || type != sequence.type || row.size() != sequence.row_bytes) {
    forget(id);
    return position == 0 ? write(id, 0, type, row) : void();
  }
  cut(sequence, position);
  if (!make_room(row.size(), id)) return forget(id);
  const std::size_t in_block = position % kBlockRows;
  if (in_block == 0) {
    sequence.blocks.push_back(std::make_shared<Bytes>());
    sequence.blocks.back()->reserve(kBlockRows * row.size());
  } else if (sequence.blocks.back().use_count() > 1) {
    sequence.blocks.back() = std::make_shared<Bytes>(*sequence.blocks.back());
  }
  Bytes& block = *sequence.blocks.back();
  block.resize(in_block * row.size());
  block.insert(block.end(), row.begin(), row.end());
  ++sequence.rows;
  sequence.written = ++writes_;
  bytes_ += row.size();
}

void Journal::fork(const Fork& fork) {
  forget(fork.sequence);
  const auto from = sequences_.find(fork.from);
  if (from == sequences_.end() || from->second.rows < fork.length || fork.length == 0) return;
  Sequence copy = from->second;
  copy.rows = fork.length;
  copy.blocks.resize((fork.length + kBlockRows - 1) / kBlockRows);
  copy.written = ++writes_;
  const std::uint64_t bytes = copy.rows * copy.row_bytes;
  if (!make_room(bytes, fork.from)) return;
  bytes_ += bytes;
  sequences_.emplace(fork.sequence, std::move(copy));
}

std::optional<Journal::Rows> Journal::find(SequenceId id, std::uint32_t first, std::uint32_t count) const {
  const auto found = sequences_.find(id);
  if (found == sequences_.end() || std::uint64_t{first} + count > found->second.rows) return std::nullopt;
  const Sequence& sequence = found->second;
  Rows rows{sequence.type, {}};
  rows.bytes.reserve(count * sequence.row_bytes);
  for (std::uint32_t at = first; at < first + count;) {
    const Bytes& block = *sequence.blocks[at / kBlockRows];
    const std::size_t in_block = at % kBlockRows;
    const std::size_t rows_here = std::min<std::size_t>(kBlockRows - in_block, first + count - at);
    const auto begin = block.begin() + static_cast<std::ptrdiff_t>(in_block * sequence.row_bytes);
    rows.bytes.insert(rows.bytes.end(), begin, begin + static_cast<std::ptrdiff_t>(rows_here * sequence.row_bytes));
    at += static_cast<std::uint32_t>(rows_here);
  }
  return rows;
}

}  // namespace shoal::node
