#include "sim/fake_stage.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/random.h"

namespace shoal::sim {
namespace {

constexpr Value kEndsOneIn = 60;

}  // namespace

Value hash(Value a, Value b) {
  return SplitMix64(a ^ SplitMix64(b)())();
}
Value embed(std::uint32_t position, Token token) {
  return hash(position, static_cast<Value>(token));
}
Token token_of(Value output, std::uint32_t vocabulary) {
  return static_cast<Token>(output % vocabulary);
}
bool ends(Value output) {
  return (output >> 32) % kEndsOneIn == 0;
}

FakeStage::Kv& FakeStage::kv_of(SequenceId sequence) {
  Kv& kv = kv_[sequence];
  kv.layers.resize(range_.count());
  return kv;
}

Value FakeStage::through(Kv& kv, Value value) const {
  for (Value& state : kv.layers) {
    state = hash(state, value);
    value = hash(value, state);
  }
  return value;
}

Status FakeStage::check(const std::vector<FakeRow>& rows) const {
  std::map<SequenceId, std::uint32_t> next;
  std::size_t known = kv_.size();
  for (const FakeRow& row : rows) {
    const auto found = kv_.find(row.sequence);
    const auto [expected, first] = next.emplace(row.sequence, found == kv_.end() ? 0 : found->second.next_position);
    if (first && found == kv_.end()) ++known;
    if (row.position != expected->second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("sequence {} comes with position {} instead of {}",
                                                            row.sequence.value, row.position, expected->second)};
    }
    ++expected->second;
  }
  if (known > settings_.sequences_max) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("{} sequences, room for {}", known, settings_.sequences_max)};
  }
  if (cells_ + rows.size() > settings_.kv_tokens_total) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("{} cells, room for {}", cells_ + rows.size(), settings_.kv_tokens_total)};
  }
  return {};
}

Status FakeStage::truncate(const Truncation& truncation) {
  const auto found = kv_.find(truncation.sequence);
  const std::uint32_t held = found == kv_.end() ? 0 : found->second.next_position;
  if (truncation.length > held || held == 0) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("sequence {} of {} rows is truncated to {}",
                                                          truncation.sequence.value, held, truncation.length)};
  }
  found->second.cut(truncation.length);
  cells_ -= held - truncation.length;
  return {};
}

void FakeStage::Kv::cut(std::uint32_t length) {
  if (length >= next_position) return;
  layers = std::move(before[length]);
  before.resize(length);
  next_position = length;
}

Status FakeStage::fork(const Fork& fork, StageFault fault) {
  const auto from = kv_.find(fork.from);
  if (from == kv_.end() || from->second.next_position < fork.length || kv_.contains(fork.sequence)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("sequence {} cannot begin with {} rows of {}",
                                                          fork.sequence.value, fork.length, fork.from.value)};
  }
  if (kv_.size() >= settings_.sequences_max || cells_ + fork.length > settings_.kv_tokens_total) {
    return Error{ErrorCode::kResourceExhausted, fmt::format("no room for a fork of {} rows", fork.length)};
  }
  Kv copy = from->second;
  const std::vector<Value> all = copy.layers;
  copy.cut(fork.length);
  if (fault == StageFault::kForkAll) copy.layers = all;
  cells_ += fork.length;
  kv_[fork.sequence] = std::move(copy);
  return {};
}

Status FakeStage::compute(std::span<const SequenceId> frees, std::vector<FakeRow>& rows, StageFault fault,
                          std::span<const Truncation> truncations, std::span<const Fork> forks) {
  for (SequenceId id : frees) {
    const auto found = kv_.find(id);
    if (found == kv_.end()) continue;
    cells_ -= found->second.next_position;
    kv_.erase(found);
  }
  for (const Fork& each : forks) {
    const Status status = fork(each, fault);
    if (fault == StageFault::kNone) SHOAL_RETURN_IF_ERROR(status);
  }
  for (const Truncation& truncation : truncations) {
    const auto found = kv_.find(truncation.sequence);
    const std::vector<Value> kept = found == kv_.end() ? std::vector<Value>() : found->second.layers;
    const Status status = truncate(truncation);
    if (fault == StageFault::kNone) SHOAL_RETURN_IF_ERROR(status);
    if (fault == StageFault::kKeepDrafts && status.ok()) found->second.layers = kept;
  }
  if (fault == StageFault::kNone) SHOAL_RETURN_IF_ERROR(check(rows));
  if (fault == StageFault::kSwapKv && kv_.size() > 1)
    std::swap(kv_.begin()->second.layers, kv_.rbegin()->second.layers);
  if (fault == StageFault::kReverseRows) std::reverse(rows.begin(), rows.end());
  if (fault == StageFault::kRepeatRows) {
    for (const FakeRow& row : rows) through(kv_of(row.sequence), row.value);
  }
  for (FakeRow& row : rows) {
    Kv& kv = kv_of(row.sequence);
    kv.before.push_back(kv.layers);
    Kv copy = fault == StageFault::kForgetRows ? kv : Kv{};
    row.value = through(fault == StageFault::kForgetRows ? copy : kv, row.value);
    ++kv.next_position;
    ++cells_;
  }
  if (fault == StageFault::kReverseRows) std::reverse(rows.begin(), rows.end());
  return {};
}

Answer answer_alone(std::uint32_t layers, const std::vector<Token>& prompt, std::uint32_t tokens_max,
                    std::uint32_t vocabulary) {
  StageSettings settings;
  settings.kv_tokens_total = UINT32_MAX;
  FakeStage whole({0, layers}, settings);
  Answer answer;
  std::vector<FakeRow> rows(1);
  std::uint32_t position = 0;
  const auto feed = [&](Token token) {
    rows[0] = {{1}, position, embed(position, token)};
    ++position;
    SHOAL_ASSERT(whole.compute({}, rows).ok());
  };
  for (Token token : prompt) feed(token);
  while (answer.tokens.size() < tokens_max) {
    if (ends(rows[0].value)) {
      answer.stopped = true;
      return answer;
    }
    answer.tokens.push_back(token_of(rows[0].value, vocabulary));
    if (answer.tokens.size() < tokens_max) feed(answer.tokens.back());
  }
  return answer;
}

}  // namespace shoal::sim
