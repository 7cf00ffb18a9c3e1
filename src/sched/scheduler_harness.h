// For tests of the scheduler: what tells it events, keeps its actions and loads, computes and samples in its place.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "sched/sampled.h"
#include "sched/scheduler.h"

namespace shoal::sched::test {

// A scheduler, and hands that feed it. Layers take 10 bytes each; tokens are request * 1000 + n.
class Harness {
 public:
  // Neither drafts nor a prefix cache, unless asked for.
  explicit Harness(std::uint32_t layers = 4, Limits limits = {}, std::uint32_t drafts_max = 0,
                   bool prefix_cache = false)
      : scheduler_(plan::ModelShape::of_equal_layers(layers, 10), with(limits, drafts_max, prefix_cache)) {}

  static Limits with(Limits limits, std::uint32_t drafts_max, bool prefix_cache) {
    limits.draft_tokens_max = drafts_max;
    limits.prefix_cache = prefix_cache;
    return limits;
  }

  static NodeId node(std::uint8_t number) {
    NodeId id;
    id.key.bytes[0] = number;
    return id;
  }
  static NodeJoined joined(std::uint8_t number, std::uint64_t bytes = 40) {
    return {{node(number), fmt::format("n{}", number), bytes}};
  }
  static SequenceArrived arrived(std::uint64_t request, std::size_t prompt, std::uint32_t tokens_max = 3) {
    return {request, std::vector<Token>(prompt, static_cast<Token>(request)), tokens_max, 1};
  }

  // Feeds one event; the actions of all events since the last clear() gather in `actions`.
  Harness& on(const Event& event) {
    if (const auto* arrived = std::get_if<SequenceArrived>(&event)) texts_[arrived->request] = arrived->prompt;
    for (Action& action : scheduler_.on(event, now)) {
      if (const auto* load = std::get_if<LoadStage>(&action)) loading.push_back(load->stage);
      if (const auto* plan = std::get_if<PublishPlan>(&action)) {
        epoch = plan->plan.epoch;
        plans_[epoch] = plan->plan;
      }
      if (const auto* set = std::get_if<SetTimer>(&action)) timer = set->at;
      const auto* emit = std::get_if<Emit>(&action);
      if (emit && emit->kind == EmitKind::kToken) texts_[emit->request].push_back(emit->token);
      actions.push_back(std::move(action));
    }
    return *this;
  }
  Harness& clear() {
    actions.clear();
    return *this;
  }
  // Time goes on to the timer and it fires; again, up to `times`.
  Harness& fire(int times = 1) {
    for (; times > 0 && timer; --times) {
      now = std::max(now, *timer);
      timer.reset();
      on(Timer{});
    }
    return *this;
  }
  Harness& wait(Duration time) {
    const Time until = now + time;
    while (timer && *timer <= until) fire();
    now = until;
    return *this;
  }
  Harness& load_all() {
    for (StageId stage : std::exchange(loading, {})) on(StageReady{stage});
    return *this;
  }
  // `count` equal nodes, planned and serving.
  Harness& serve(std::uint8_t count) {
    for (std::uint8_t i = 1; i <= count; ++i) on(joined(i));
    fire().load_all();
    EXPECT_EQ(snapshot().state, PlanState::kServing);
    return clear();
  }
  // The step comes back, and each of its logits rows gives a token.
  Harness& back(const SendStep& step, bool ends = false) {
    return back(step, [ends](const Row& row) { return ChosenToken{token(row), ends}; });
  }
  // `choose(row)` gives the token.
  template <typename Choose>
  Harness& back(const SendStep& step, Choose choose_of, Duration busy = {}) {
    StepDone done{step.epoch, step.step, busy};
    if (stage_time) {
      for (const PlannedPlan::Stage& stage : plans_.at(step.epoch).stages) {
        done.stages.push_back({stage.stage, stage_time(stage) * static_cast<Duration::rep>(step.rows.size())});
        done.slowest_stage = std::max(done.slowest_stage, done.stages.back().time);
      }
    }
    on(done);
    const auto choose = [&](std::size_t i) { return choose_of(step.rows[i]); };
    const auto is_newest = [&](std::size_t i) {
      const std::vector<Token>& text = texts_[step.rows[i].request];
      return text.size() == step.rows[i].position + 1 && text.back() == step.rows[i].token;
    };
    for (TokenSampled& sampled : sample_rows(step.epoch, step.step, step.rows, is_newest, choose)) on(sampled);
    return *this;
  }
  static Token token(const Row& row) { return static_cast<Token>(row.request * 1000 + row.position); }
  // Whatever is sent comes back, until nothing is sent any more.
  Harness& run(int steps_max = 1000) {
    for (std::size_t at = 0; at < actions.size() && steps_max > 0; ++at) {
      if (const auto* step = std::get_if<SendStep>(&actions[at])) {
        --steps_max;
        back(SendStep(*step));
      } else if (const auto* replay = std::get_if<Replay>(&actions[at])) {
        on(StepDone{replay->epoch, replay->step});
      }
    }
    return *this;
  }

  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const Action& action : actions) {
      if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
  }
  // What the owner of `request` has seen: its tokens, and how it ended.
  std::vector<Token> tokens(std::uint64_t request) const {
    std::vector<Token> found;
    for (const Emit& emit : all<Emit>()) {
      if (emit.request == request && emit.kind == EmitKind::kToken) found.push_back(emit.token);
    }
    return found;
  }
  std::vector<Emit> ends(std::uint64_t request) const {
    std::vector<Emit> found = all<Emit>();
    std::erase_if(found, [&](const Emit& e) { return e.request != request || e.kind == EmitKind::kToken; });
    return found;
  }
  Snapshot snapshot() const { return scheduler_.snapshot(); }
  const PlannedPlan& plan_of(Epoch of) const { return plans_.at(of); }

  Time now{std::chrono::seconds(1)};
  std::vector<Action> actions;
  std::vector<StageId> loading;
  Epoch epoch;
  std::optional<Time> timer;
  std::function<Duration(const PlannedPlan::Stage&)> stage_time;  // a row in it; none: steps do not tell

 private:
  Scheduler scheduler_;
  std::map<std::uint64_t, std::vector<Token>> texts_;  // by request
  std::map<Epoch, PlannedPlan> plans_;
};

}  // namespace shoal::sched::test
