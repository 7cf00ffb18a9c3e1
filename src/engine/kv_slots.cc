#include "engine/kv_slots.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log.h"

namespace shoal::engine {
namespace {
// Below it the dead cells cost less than the copying: attention skips a masked cell in about a nanosecond a head.
constexpr std::uint32_t kGraveyardMin = 512;
}  // namespace

KvSlots::KvSlots(LlamaInstance& instance, const StageSettings& settings)
    : instance_(instance),
      sequences_max_(settings.sequences_max),
      tokens_total_(std::min(settings.kv_tokens_total, instance.kv_cells())),
      graveyard_(static_cast<std::int32_t>(settings.sequences_max)) {
  for (std::int32_t slot = graveyard_ - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

const KvSlots::Sequence* KvSlots::find(SequenceId sequence) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? nullptr : &found->second;
}

Result<std::int32_t> KvSlots::open(SequenceId sequence) {
  SHOAL_ASSERT(!sequences_.contains(sequence));
  if (free_slots_.empty()) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("the stage holds {} sequences already, as many as it was loaded for", sequences_max_)};
  }
  const std::int32_t slot = free_slots_.back();
  free_slots_.pop_back();
  sequences_[sequence] = {slot, 0};
  return slot;
}

Error KvSlots::full(std::uint32_t rows) const {
  return {ErrorCode::kResourceExhausted,
          fmt::format("the stage's KV is full: {} of {} cells are taken, {} more are needed", living_, tokens_total_,
                      rows)};
}

Status KvSlots::reserve(std::uint32_t rows) {
  if (rows > tokens_total_ - living_) return full(rows);
  const std::uint32_t dead = occupied_ > living_ ? occupied_ - living_ : 0;
  const bool in_the_way = rows > instance_.kv_cells() - occupied_;
  if (in_the_way || dead > std::max(kGraveyardMin, living_)) return compact();
  return {};
}

void KvSlots::appended(SequenceId sequence, std::uint32_t rows) {
  sequences_.at(sequence).length += rows;
  living_ += rows;
  occupied_ += rows;
}

Status KvSlots::fork(SequenceId from, SequenceId sequence, std::uint32_t length) {
  if (length > tokens_total_ - living_) return full(length);
  SHOAL_ASSIGN_OR_RETURN(const std::int32_t slot, open(sequence));
  instance_.share_head(sequences_.at(from).slot, static_cast<std::int32_t>(length), slot);
  sequences_.at(sequence).length = length;
  living_ += length;
  top_ = {};  // cells at the top may be of two sequences now
  return {};
}

void KvSlots::truncate(SequenceId sequence, std::uint32_t length) {
  Sequence& held = sequences_.at(sequence);
  SHOAL_ASSERT(length <= held.length);
  const std::uint32_t dropped = held.length - length;
  if (dropped == 0) return;
  const auto position = static_cast<std::int32_t>(length);
  if (top_.sequence == sequence && top_.rows >= dropped) {
    instance_.truncate_slot(held.slot, position);
    occupied_ -= dropped;
    top_.rows -= dropped;
  } else {
    instance_.hand_over_tail(held.slot, position, graveyard_);
  }
  living_ -= dropped;
  held.length = length;
}

void KvSlots::close_empty(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  SHOAL_ASSERT(found != sequences_.end() && found->second.length == 0);
  free_slots_.push_back(found->second.slot);
  sequences_.erase(found);
}

void KvSlots::free(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  if (top_.sequence == sequence) top_ = {};
  instance_.hand_over_slot(found->second.slot, graveyard_);
  living_ -= found->second.length;
  free_slots_.push_back(found->second.slot);
  sequences_.erase(found);
  if (living_ == 0) {
    instance_.clear_kv();
    occupied_ = 0;
  }
}

Status KvSlots::restore(SequenceId sequence, std::uint32_t length, ByteSpan payload) {
  SHOAL_RETURN_IF_ERROR(reserve(length));
  SHOAL_ASSIGN_OR_RETURN(const std::int32_t slot, open(sequence));
  if (auto restored = instance_.restore_slot(slot, payload); !restored.ok()) {
    close_empty(sequence);
    return restored;
  }
  appended(sequence, length);
  top_ = {};
  return {};
}

Status KvSlots::compact() {
  struct Saved {
    SequenceId sequence;
    Sequence held;
    Bytes payload;
  };
  std::vector<Saved> saved;
  for (const auto& [sequence, held] : sequences_) {
    if (held.length == 0) continue;
    SHOAL_ASSIGN_OR_RETURN(Bytes payload, instance_.save_slot(held.slot));  // so far nothing was changed
    saved.push_back({sequence, held, std::move(payload)});
  }
  instance_.clear_kv();
  living_ = occupied_ = 0;
  top_ = {};
  Status result;
  for (Saved& each : saved) {
    auto restored = instance_.restore_slot(each.held.slot, each.payload);
    each.payload = {};
    if (restored.ok()) {
      living_ += each.held.length;
      occupied_ += each.held.length;
      continue;
    }
    log_error("sequence {} lost its KV in a compaction: {}", each.sequence.value, restored.error().message);
    free_slots_.push_back(each.held.slot);
    sequences_.erase(each.sequence);
    result = Error{ErrorCode::kInternal,
                   fmt::format("the KV of sequence {} was lost: {}", each.sequence.value, restored.error().message)};
  }
  return result;
}

}  // namespace shoal::engine
