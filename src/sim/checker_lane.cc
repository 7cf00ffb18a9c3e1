#include "sim/checker_lane.h"

#include <algorithm>
#include <utility>

namespace shoal::sim {

using namespace sched;

Token Book::Request::token_at(std::size_t position) const {
  if (position < prompt.size()) return prompt[position];
  const std::size_t at = position - prompt.size();
  return at < expected.tokens.size() ? expected.tokens[at] : -1;
}

const Book::Request* Book::open(std::uint64_t request) const {
  const auto found = requests.find(request);
  return found == requests.end() || found->second.ended ? nullptr : &found->second;
}

Book::Request* Book::open(std::uint64_t request) {
  return const_cast<Request*>(std::as_const(*this).open(request));
}

void Book::violation(std::string what) {
  if (violations.size() < 20) violations.push_back(std::move(what));
}

// --- its plan ---

void LaneChecker::publish(const PlannedPlan& plan) {
  epoch_ = plan.epoch;
  has_plan_ = true;
  stages_ = plan.stages.size();
  nodes_.clear();
  first_step_ = true;
  std::uint32_t next = 0;
  bool kept = false;
  for (const PlannedPlan::Stage& stage : plan.stages) {
    if (stage.range.first != next || stage.range.last <= next) violation("plan does not cover the layers once");
    next = stage.range.last;
    nodes_.insert(stage.node);
    kept = !in_plan_.insert(stage.stage).second || kept;
  }
  if (next != book_->layers) violation("plan does not cover all layers");
  if (!kept) {
    resident_.clear();
    before_.clear();
    kv_.clear();
  }
  before_.merge(kv_);
  kv_.clear();
  refilled_.clear();
  in_flight_.clear();
  refills_.clear();
  ids_.clear();
  cells_ = 0;
}

void LaneChecker::withdraw(const WithdrawPlan& action) {
  if (action.epoch != epoch_ || !has_plan_) violation("a plan is withdrawn that is not in force");
  has_plan_ = false;
}

void LaneChecker::check_state(const Snapshot& after) {
  state_ = after.state;
  if (has_plan_ && state_ == PlanState::kNone) violation("a plan is dead, and was not withdrawn");
  if (!has_plan_ && state_ != PlanState::kNone) violation("a plan serves that was not published");
  if (after.sequences_live > book_->limits.settings.sequences_max) violation("more sequences live than sequences_max");
  if (after.kv_tokens_reserved > book_->limits.settings.kv_tokens_total)
    violation("more cells reserved than there are");
}

void LaneChecker::all_done() const {
  if (!kv_.empty() && !book_->limits.prefix_cache)
    book_->violation(fmt::format("{} sequences were never freed", kv_.size()));
}

// --- steps ---

void LaneChecker::note_step(Epoch epoch, StepId step) {
  if (epoch != epoch_ || !has_plan_) violation("a step of another epoch");
  if (step <= book_->last_step) violation("step ids do not grow");
  book_->last_step = step;
}

// A request is computed in one lane at a time; the first that begins has it, until it moves.
bool LaneChecker::take_in(std::uint64_t id, Request& request) {
  if (!request.lane) request.lane = number_;
  if (*request.lane == number_) return true;
  violation(fmt::format("request {} is computed in pipeline {}, and belongs to {}", id, number_, *request.lane));
  return false;
}

void LaneChecker::check(const Replay& action) {
  note_step(action.epoch, action.step);
  await_refill(action.step, action.request);
  check_refill(action.ends_at, action.sequence, action.request, action.first, action.count);
}

// Rows for stages that are new: of a sequence of an older epoch whose request is open, each run from its first row.
void LaneChecker::check_refill(StageId ends_at, SequenceId id, std::uint64_t request, std::uint32_t first,
                               std::uint32_t count) {
  const auto found = before_.find(id);
  if (found == before_.end() || found->second.request != request) {
    return violation(fmt::format("rows of sequence {} for new stages, which is not of request {}", id.value, request));
  }
  Request* owner = book_->open(request);
  if (owner == nullptr) return violation(fmt::format("rows of request {} for new stages after its end", request));
  if (!take_in(request, *owner)) return;
  std::uint32_t& rows = refilled_[id][ends_at];
  if (rows != first || count == 0 || count > kStepRowsMax) violation("rows for new stages have a gap");
  rows = first + count;
  if (rows > found->second.tokens.size()) violation("rows for new stages that never were");
}

// The same from tokens.
void LaneChecker::check_refill(const SendStep& action) {
  if (action.rows.empty()) return violation("a step for new stages without rows");
  const Row& row = action.rows.front();
  for (const Row& each : action.rows) {
    if (each.token != book_->requests.at(each.request).token_at(each.position))
      violation("a wrong token for new stages");
    if (each.logits != 0) violation("a step for new stages wants logits");
  }
  await_refill(action.step, row.request);
  check_refill(action.ends_at, row.sequence, row.request, row.position, static_cast<std::uint32_t>(action.rows.size()));
}

void LaneChecker::check(const SendStep& action) {
  note_step(action.epoch, action.step);
  if (action.ends_at) return check_refill(action);
  check_frees(action);
  if (in_flight_.empty()) waits_since_ = book_->now;
  in_flight_[action.step].frees = action.frees;
  for (const Row& row : action.rows) in_flight_[action.step].requests.insert(row.request);
  const Limits& limits = book_->limits;
  if (in_flight_.size() > stages_ + 1) violation(fmt::format("{} steps in flight", in_flight_.size()));
  if (action.rows.size() > limits.rows_per_step_max) violation("too many rows in a step");
  if (action.rows.empty() && action.frees.empty()) violation("an empty step");
  check_forks(action);
  check_truncations(action);
  for (const Row& row : action.rows) check_row(row, action.step);
  if (kv_.size() > limits.settings.sequences_max) violation("more sequences in the KV than sequences_max");
  if (cells_ > limits.settings.kv_tokens_total) violation("more cells promised than kv_tokens_total");
  first_step_ = false;
}

// --- whose KV it is ---

bool LaneChecker::is_owned(SequenceId id, const InKv& kv) const {
  if (book_->open(kv.request) == nullptr) return false;
  const auto current = ids_.find(kv.request);
  return current == ids_.end() || current->second == id;
}

// Its request has ended, or goes on elsewhere: what it leaves in the KV is kept for others, as much as there is, or
// freed.
void LaneChecker::leave(InKv& kv) {
  if (!book_->limits.prefix_cache) return;
  cells_ -= kv.cells - kv.tokens.size();
  kv.cells = kv.tokens.size();
}

void LaneChecker::ended(std::uint64_t request) {
  const auto id = ids_.find(request);
  if (id == ids_.end()) return;
  if (const auto kept = kv_.find(id->second); kept != kv_.end()) leave(kept->second);
}

void LaneChecker::moved_away(std::uint64_t request) {
  ended(request);
  ids_.erase(request);
  for (std::map<SequenceId, InKv>* all : {&kv_, &before_}) {
    for (auto& [id, kv] : *all) {
      if (kv.request == request) kv.request = 0;
    }
  }
}

// A live sequence goes on in a new epoch from its first `length` rows.
void LaneChecker::resume(SequenceId id, std::uint32_t length) {
  InKv kv = std::move(before_.at(id));
  before_.erase(id);
  Request* request = book_->open(kv.request);
  if (request == nullptr || ids_.contains(kv.request)) {
    return violation(fmt::format("sequence {} goes on for nobody", id.value));
  }
  if (!take_in(kv.request, *request)) return;
  if (length == 0 || length > kv.tokens.size()) {
    return violation(fmt::format("sequence {} goes on from {} of {} rows", id.value, length, kv.tokens.size()));
  }
  for (const auto& [stage, rows] : refilled_[id]) {
    if (rows != length)
      violation(fmt::format("sequence {} goes on before stage {} has its rows", id.value, stage.value));
  }
  kv.tokens.resize(length);
  for (std::size_t i = 0; i < length; ++i) {
    if (kv.tokens[i] != request->token_at(i)) violation("a sequence goes on from rows that were wrong");
  }
  kv.cells = request->cells();
  kv.awaited = {};
  cells_ += kv.cells;
  ids_[kv.request] = id;
  kv_[id] = std::move(kv);
}

// Of an older epoch: its request may go on in it, or rows of it are on their way to new stages.
bool LaneChecker::may_stay(SequenceId id) const {
  const auto found = before_.find(id);
  if (found == before_.end()) return false;
  return refilled_.contains(id) || book_->open(found->second.request) != nullptr;
}

void LaneChecker::check_frees(const SendStep& action) {
  std::set<SequenceId> named;
  for (SequenceId id : action.frees) {
    if (!named.insert(id).second) violation("a sequence is freed twice in a step");
    const auto found = kv_.find(id);
    if (found != kv_.end()) {
      if (is_owned(id, found->second)) {
        violation(fmt::format("request {} is freed before its end", found->second.request));
      }
      cells_ -= found->second.cells;
      kv_.erase(found);
    } else if (before_.erase(id) == 0 && (!first_step_ || !resident_.contains(id))) {
      violation(fmt::format("sequence {} is freed, but is not there", id.value));
    }
  }
  if (!first_step_) return;
  for (SequenceId id : resident_) {
    if (!named.contains(id) && !may_stay(id))
      violation(fmt::format("sequence {} of an older epoch is not freed first", id.value));
  }
}

// Also one of an older epoch that goes on in this one, and has had no step in it yet: stages that are new have its
// rows.
const LaneChecker::InKv* LaneChecker::source_of(const Fork& fork) const {
  if (const auto found = kv_.find(fork.from); found != kv_.end()) return &found->second;
  const auto found = before_.find(fork.from);
  if (found == before_.end() || !may_stay(fork.from)) return nullptr;
  if (const auto refilled = refilled_.find(fork.from); refilled != refilled_.end()) {
    for (const auto& [stage, rows] : refilled->second) {
      if (rows < fork.length) return nullptr;
    }
  }
  return &found->second;
}

void LaneChecker::check_forks(const SendStep& action) {
  for (const Fork& fork : action.forks) {
    if (!book_->limits.prefix_cache) violation("a fork without a prefix cache");
    if (action.forks.size() > kForksPerStepMax) violation("too many forks in a step");
    const InKv* from = source_of(fork);
    if (from == nullptr || fork.length == 0 || fork.length > from->tokens.size()) {
      violation(fmt::format("a fork of {} rows of sequence {}, which are not there", fork.length, fork.from.value));
      continue;
    }
    if (!book_->used.insert(fork.sequence).second)
      violation(fmt::format("sequence id {} is used twice", fork.sequence.value));
    const auto& tokens = from->tokens;
    kv_[fork.sequence] = {0, {tokens.begin(), tokens.begin() + fork.length}, fork.length, {}};
    resident_.insert(fork.sequence);
    cells_ += fork.length;
  }
}

void LaneChecker::check_truncations(const SendStep& action) {
  std::set<SequenceId> named;
  for (const Truncation& truncation : action.truncations) {
    if (!named.insert(truncation.sequence).second) violation("a sequence is truncated twice in a step");
    if (before_.contains(truncation.sequence)) {
      resume(truncation.sequence, truncation.length);
      continue;
    }
    const auto found = kv_.find(truncation.sequence);
    if (found == kv_.end()) {
      violation("a sequence is truncated that is not there");
      continue;
    }
    InKv& kv = found->second;
    const bool has_rows = std::any_of(action.rows.begin(), action.rows.end(),
                                      [&](const Row& row) { return row.sequence == truncation.sequence; });
    if (!has_rows) violation("a sequence is truncated that has no rows in the step");
    if (truncation.length >= kv.tokens.size()) {
      violation("a truncation drops nothing");
      continue;
    }
    if (is_owned(found->first, kv) && truncation.length + 1 != book_->open(kv.request)->known()) {
      violation("a truncation drops known tokens");
    }
    kv.tokens.resize(truncation.length);
  }
}

// A request's first row of an epoch: under a new id, or under one whose rows so far are the request's beginning and
// which belongs to nobody any more.
bool LaneChecker::claim(const Request& request, const Row& row) {
  const auto found = kv_.find(row.sequence);
  if (found == kv_.end() && !book_->used.insert(row.sequence).second) {
    violation(fmt::format("sequence id {} is used again, and is not kept", row.sequence.value));
    return false;
  }
  InKv& kv = kv_[row.sequence];
  if (kv.request != 0 && is_owned(row.sequence, kv)) {
    violation(fmt::format("request {} goes on in the KV of request {}", row.request, kv.request));
    return false;
  }
  if (kv.tokens.size() >= request.known()) {
    violation(fmt::format("request {} has all of its rows from another one", row.request));
    return false;
  }
  for (std::size_t i = 0; i < kv.tokens.size(); ++i) {
    if (kv.tokens[i] == request.token_at(i)) continue;
    violation(fmt::format("request {} begins with another's KV, which differs at {}", row.request, i));
    return false;
  }
  cells_ += request.cells() - kv.cells;
  kv.cells = request.cells();
  kv.request = row.request;
  kv.awaited = {};
  ids_[row.request] = row.sequence;
  resident_.insert(row.sequence);
  return true;
}

void LaneChecker::check_row(const Row& row, StepId step) {
  const auto known_request = book_->requests.find(row.request);
  if (known_request == book_->requests.end()) return violation("a row of an unknown request");
  Request& request = known_request->second;
  if (request.ended) violation(fmt::format("a row of request {} after its end", row.request));
  if (!take_in(row.request, request)) return;
  if (!ids_.contains(row.request) && !claim(request, row)) return;
  const auto kv = kv_.find(row.sequence);
  if (ids_.at(row.request) != row.sequence || kv == kv_.end()) return violation("a row under a wrong sequence id");
  if (row.position != kv->second.tokens.size()) {
    violation(fmt::format("request {}: position {} in step {}", row.request, row.position, step.value));
  }
  kv->second.tokens.push_back(row.token);
  const std::size_t known = request.known();
  if (row.position < known) {
    if (row.token != request.token_at(row.position)) {
      violation(fmt::format("request {}: wrong token at {}", row.request, row.position));
    }
  } else if (row.position >= request.cells()) {
    violation("a draft beyond the answer's limit");
  } else if (row.position >= known + (stages_ + 1) * (book_->limits.draft_tokens_max + 1)) {
    violation("more drafts than may be");
  }
  if ((row.logits > 0) != (row.position + 1 >= known))
    violation("logits wanted of a row that is neither last nor a draft");
  if (row.position + 1 == known) kv->second.awaited.clear();  // what was sent before is in vain
  if (row.position >= known && kv->second.awaited.empty()) violation("a draft without its sequence's newest row");
  if (row.logits > 0) kv->second.awaited.insert(step);
  if (kv->second.awaited.size() > stages_ + 1) violation("rows of a sequence want logits in too many steps");
}

void LaneChecker::ask(std::uint64_t ask) {
  if (std::exchange(ask_open_, ask) != 0) violation("drafts are asked for before an answer");
}

}  // namespace shoal::sim
