#include "sim/world.h"

#include <algorithm>

#include "sched/sampled.h"

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;

void World::tell(const Event& event) {
  if (coordinator_downs_ > 0) return;
  ++report_.events;
  if (checker_.requests_open() > 0) busy_ = queue_.now();
  note(1, event.index());
  checker_.event(event);
  std::vector<Action> actions = scheduler_->on(event, queue_.now());
  if (options_.tamper_actions) options_.tamper_actions(event, actions);
  if (options_.tamper) {
    for (Action& action : actions) {
      if (auto* step = std::get_if<SendStep>(&action)) options_.tamper(*step);
    }
  }
  checker_.actions(actions, scheduler_->snapshot(), phones_.size(), queue_.now());
  for (const Action& action : actions) std::visit([this](const auto& known) { act(known); }, action);
}

void World::act(const PublishPlan& action) {
  ++report_.epochs;
  Lane& lane = lanes_.at(action.plan.lane);
  lane = {action.plan.epoch, {}, {}, {}};
  published_ = queue_.now();
  note(2, action.plan.epoch.value, action.plan.stages.size());
  say("epoch {} of pipeline {}: {}", action.plan.epoch.value, action.plan.lane + 1, action.plan.explanation);
  for (const PlannedPlan::Stage& stage : action.plan.stages) lane.in_plan.insert(phone_of(stage.node));
  for (const PlannedPlan::Stage& stage : action.plan.stages) {
    const std::size_t phone = phone_of(stage.node);
    report_.stages_kept += phones_[phone].stages.contains(stage.stage);
    send(kCoordinator, phone + 1, [this, phone, plan = action.plan] { see_plan(phone, plan); });
  }
}

World::Lane* World::lane_of(Epoch epoch) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return lane.epoch == epoch; });
  return found == lanes_.end() || epoch.value == 0 ? nullptr : &*found;
}

// The coordinator relays between them.
bool World::in_one_plan(std::size_t phone, std::size_t other) const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [&](const Lane& lane) { return lane.in_plan.contains(phone) && lane.in_plan.contains(other); });
}

void World::act(const WithdrawPlan& action) {
  note(12, action.epoch.value);
  say("pipeline {} has no plan any more", action.lane + 1);
  lanes_.at(action.lane) = {};
}

void World::act(const SequenceMoved& action) {
  note(13, action.request, action.to);
  say("request {} goes from pipeline {} to {}: {}", action.request, action.from + 1, action.to + 1, action.why);
}

void World::act(const LoadStage& action) {
  note(3, action.stage.value, action.range.first);
  const std::size_t phone = phone_of(action.node);
  say("{} is to load stage {} with {}", phones_[phone].profile.name, action.stage.value, action.range.text());
  send(kCoordinator, phone + 1, [this, phone, action] { load(phone, action); });
}

void World::act(const DropStage& action) {
  note(4, action.stage.value);
  const std::size_t phone = phone_of(action.node);
  say("{} is to drop stage {}", phones_[phone].profile.name, action.stage.value);
  send(kCoordinator, phone + 1, [this, phone, action] { phones_[phone].stages.erase(action.stage); });
}

void World::act(const FetchShard& action) {
  note(10, action.stage.value, action.range.first);
  const std::size_t phone = phone_of(action.node);
  say("{} is to keep the shard of {}", phones_[phone].profile.name, action.range.text());
  send(kCoordinator, phone + 1, [this, phone, action] {
    later(phone, milliseconds(between(50, 2000)), [this, phone, action] {
      if (chance(5)) {
        return hear(phone, StageFailed{action.stage, ErrorCode::kResourceExhausted, "the flash is full"});
      }
      ++report_.shards_fetched;
      hear(phone, ShardFetched{action.stage});
    });
  });
}

void World::act(const SendStep& action) {
  ++report_.steps;
  note(5, action.step.value, action.rows.size());
  say("step {} of epoch {}: {} rows, {} frees", action.step.value, action.epoch.value, action.rows.size(),
      action.frees.size());
  FakeStep step{action.epoch, action.step,  action.ends_at,     {},          action.rows,
                action.frees, action.forks, action.truncations, action.stage};
  for (const Row& row : action.rows) step.rows.push_back({row.sequence, row.position, embed(row.position, row.token)});
  const std::size_t phone = phone_of(action.node);
  if (Lane* lane = lane_of(step.epoch)) lane->under_way.insert(step.step);
  send(kCoordinator, phone + 1, [this, phone, step = std::move(step)] { arrive(phone, step); });
}

// Rows that the journal has go on at once, past the queue of what is to be computed.
void World::act(const Replay& action) {
  ++report_.replays;
  if (Lane* lane = lane_of(action.epoch)) lane->under_way.insert(action.step);
  note(11, action.step.value, action.sequence.value);
  say("step {} of epoch {}: rows {} to {} of sequence {} from the journal of stage {}", action.step.value,
      action.epoch.value, action.first, action.first + action.count - 1, action.sequence.value, action.stage.value);
  const std::size_t index = phone_of(action.node);
  send(kCoordinator, index + 1, [this, index, action] {
    Phone& phone = phones_[index];
    const auto place = phone.place_in_plan();
    if (action.epoch != phone.plan.epoch || !place) return;
    const auto stage = phone.stages.find(action.stage);
    if (stage == phone.stages.end()) return;
    const auto& journal = stage->second.journal;
    const auto found = journal.find(action.sequence);
    if (found == journal.end() || found->second.size() < action.first + action.count) {
      ++report_.replays_missing;
      return hear(index, StepFailed{action.epoch, action.step, ErrorCode::kNotFound, "not in the journal"});
    }
    FakeStep step{action.epoch, action.step, action.ends_at, {}, {}, {}, {}, {}, {}};
    if (action.first == 0) step.frees = {action.sequence};
    for (std::uint32_t i = action.first; i < action.first + action.count; ++i) {
      step.rows.push_back({action.sequence, i, found->second[i]});
    }
    phone.last_sent = step.step;
    step.to = phone.plan.stages.at(*place + 1).stage;
    const std::size_t next = phone_of(phone.plan.stages.at(*place + 1).node);
    send(index + 1, next + 1, [this, next, step = std::move(step)] { arrive(next, step); });
  });
}

void World::act(const AskDrafts& action) {
  note(9, action.ask, action.texts.size());
  if (action.ask == 0 || queue_.now() >= draft_model_ends_) return;
  Drafted drafted{action.ask, {}, Duration(between(0, chance(1) ? 2'000'000 : 3'000))};
  for (const AskDrafts::Text& text : action.texts) {
    Drafted::Text answer{text.request, {}};
    const std::size_t known = text.from + text.tokens.size();
    for (std::uint64_t i = chance(90) ? between(0, text.count) : 0; i > 0; --i) {
      const auto right = checker_.right_token(text.request, known + answer.tokens.size());
      const auto any = static_cast<Token>(random_.below(vocabulary_));
      answer.tokens.push_back(right && chance(right_drafts_percent_) ? *right : any);
    }
    drafted.texts.push_back(std::move(answer));
  }
  const Duration took = drafted.took;
  queue_.after(took, [this, drafted = std::move(drafted), life = coordinator_life_] {
    if (life == coordinator_life_) tell(drafted);
  });
}

void World::act(const Emit& action) {
  note(6, action.request, static_cast<std::uint64_t>(action.kind) << 32 | static_cast<std::uint32_t>(action.token));
  if (action.kind == EmitKind::kError) say("request {}: error: {}", action.request, action.error.message);
  if (action.kind == EmitKind::kEnd) say("request {} ends", action.request);
}

void World::act(const SetTimer& action) {
  const std::uint64_t timer = ++timer_;
  if (!action.at) return;
  queue_.at(*action.at, [this, timer] {
    if (timer == timer_) tell(Timer{});
  });
}

// Of a plan that is over, or of a step that has come back already, nothing is taken (Coordinator::on_result).
bool World::takes_result(const FakeStep& step) {
  Lane* lane = lane_of(step.epoch);
  return lane != nullptr && lane->under_way.erase(step.step) > 0;
}

std::vector<TokenSampled> World::sample(const FakeStep& step) {
  const auto is_newest = [&](std::size_t i) { return checker_.is_newest(step.sent[i]); };
  const auto choose = [&](std::size_t i) {
    const Value output = step.rows[i].value;
    return ChosenToken{token_of(output, vocabulary_), ends(output)};
  };
  return sample_rows(step.epoch, step.step, step.sent, is_newest, choose);
}

// The scheduler hears also of what is stale: it changes nothing. What a sampler chooses is chosen once, so nothing is
// chosen before it is sure that the step counts.
void World::step_came_back(const FakeStep& step, bool repeats) {
  const bool twice = chance(repeats ? 50 : 2);  // what comes again changes nothing
  const bool takes = takes_result(step);
  const StepDone done{step.epoch, step.step, {}, {}, {}, step.computed};
  tell(done);
  std::vector<TokenSampled> sampled;
  if (takes && lane_of(step.epoch) != nullptr) sampled = sample(step);
  for (const TokenSampled& tokens : sampled) {
    checker_.chosen(tokens);
    tell(tokens);
  }
  if (!twice) return;
  tell(done);
  for (const TokenSampled& tokens : sampled) tell(tokens);
}

}  // namespace shoal::sim
