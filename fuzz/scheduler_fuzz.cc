// Feeds the scheduler any events in any order, most of them nearly plausible (ids it has seen, and ids beside them),
// and holds it to its header with the simulation's checker. Two bytes an event: what, and about which. The last byte
// says what kind of shoal it is.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "sched/sampled.h"
#include "sched/scheduler.h"
#include "sim/checker.h"
#include "sim/fake_stage.h"

namespace shoal {
namespace {

using namespace sched;

constexpr std::uint32_t kLayers = 6;
constexpr std::uint32_t kVocabulary = 3;  // text that repeats itself: drafts that come true
constexpr std::size_t kNodes = 5;
constexpr std::size_t kEventsMax = 2000;

// A draft model or none, one to three pipelines, exact answers demanded or not.
Limits limits(std::uint8_t kind) {
  Limits limits;
  limits.draft_model = kind % 2 == 1;
  limits.replicas = 1 + kind / 2 % 3;
  if (kind >= 128) limits.settings.exact = ExactMode::kOn;
  limits.settings.context_tokens_max = 24;
  limits.settings.sequences_max = 3;
  limits.settings.kv_tokens_total = 60;
  limits.rows_per_step_max = 7;
  limits.prompt_rows_per_step_max = 5;
  limits.waiting_sequences_max = 4;
  return limits;
}

class World {
 public:
  explicit World(std::uint8_t kind)
      : scheduler_(plan::ModelShape::of_equal_layers(kLayers, 10), limits(kind)),
        checker_(kLayers, limits(kind), kVocabulary) {
    checker_.allow_step_errors();
  }

  void happen(std::uint8_t what, std::uint8_t which) {
    now_ += Duration(which * 1000);
    if (what >= 240) return drafted(which);
    if (what >= 232) return pause(which);
    if (what >= 224) return fetched(which);
    if (what >= 220) return share(which);
    using Make = void (World::*)(std::uint8_t);
    static constexpr Make kMakes[] = {&World::join,   &World::lose,   &World::ready,   &World::stage_fails,
                                      &World::done,   &World::done,   &World::done,    &World::step_fails,
                                      &World::arrive, &World::arrive, &World::sampled, &World::cancel,
                                      &World::later,  &World::timer};
    (this->*kMakes[what % std::size(kMakes)])(which);
  }

 private:
  void tell(const Event& event) {
    checker_.event(event);
    const std::vector<Action> actions = scheduler_.on(event, now_);
    checker_.actions(actions, scheduler_.snapshot(), kNodes, now_);
    for (const Action& action : actions) {
      if (const auto* plan = std::get_if<PublishPlan>(&action)) plans_[plan->plan.epoch] = plan->plan;
      if (const auto* dead = std::get_if<WithdrawPlan>(&action)) plans_.erase(dead->epoch);
      if (const auto* load = std::get_if<LoadStage>(&action)) stages_.push_back(load->stage);
      if (const auto* fetch = std::get_if<FetchShard>(&action)) stages_.push_back(fetch->stage);
      if (const auto* step = std::get_if<SendStep>(&action)) steps_.push_back(*step);
      if (const auto* replay = std::get_if<Replay>(&action)) {
        steps_.push_back({replay->epoch, replay->step, {}, {}, {}, replay->ends_at, {}, {}, {}});
      }
      if (const auto* ask = std::get_if<AskDrafts>(&action); ask && ask->ask > 0) ask_ = *ask;
    }
    if (checker_.violations().empty()) return;
    std::fprintf(stderr, "%s\n", checker_.violations().front().c_str());
    std::abort();
  }

  void join(std::uint8_t which) {
    NodeJoined joined;
    joined.profile.node.key.bytes[0] = which % kNodes;
    joined.profile.memory_bytes_max = 10 + which / 2;
    joined.profile.kernel_family = which % 3 == 0 ? "other" : "one";
    tell(joined);
  }
  void lose(std::uint8_t which) {
    NodeLost lost;
    lost.node.key.bytes[0] = which % kNodes;
    tell(lost);
  }
  void pause(std::uint8_t which) {
    NodePaused paused;
    paused.node.key.bytes[0] = which % kNodes;
    paused.paused = which < 128;
    tell(paused);
  }
  void share(std::uint8_t which) {
    NodeShare share{{}, which * 5u};
    share.node.key.bytes[0] = which % kNodes;
    tell(share);
  }
  void fetched(std::uint8_t which) { tell(ShardFetched{stage(which)}); }
  StageId stage(std::uint8_t which) const {
    return stages_.empty() ? StageId{which}
                           : stages_[stages_.size() - 1 - which % std::min<std::size_t>(stages_.size(), 8)];
  }
  void ready(std::uint8_t which) { tell(StageReady{stage(which)}); }
  void stage_fails(std::uint8_t which) { tell(StageFailed{stage(which), ErrorCode::kCorrupt, "fuzz"}); }

  // One of the newest steps, or (rarely) one that never was.
  SendStep step(std::uint8_t which) const {
    if (steps_.empty() || which == 255) return {{which}, {which}, {}, {}, {}, {}, {}, {}, {}};
    return steps_[steps_.size() - 1 - which % std::min<std::size_t>(steps_.size(), 6)];
  }
  void done(std::uint8_t which) {
    const SendStep of = step(which);
    StepDone done{of.epoch, of.step};
    const auto plan = plans_.find(of.epoch);
    for (std::size_t i = 0; which % 2 == 0 && plan != plans_.end() && i < plan->second.stages.size(); ++i) {
      done.stages.push_back({plan->second.stages[i].stage, Duration((which * 37 + i * 1001) % 9000)});
    }
    tell(done);
    if (which < 200) sampled(which);
  }
  void sampled(std::uint8_t which) {
    const SendStep of = step(which);
    const auto choose = [&](std::size_t i) {
      const auto& [prompt, answer] = answers_.at(of.rows[i].request);
      const std::size_t at = of.rows[i].position + 1 - prompt;
      const bool ends = at >= answer.tokens.size();
      return ChosenToken{ends ? 0 : answer.tokens[at], ends};
    };
    const auto is_newest = [&](std::size_t i) { return checker_.is_newest(of.rows[i]); };
    for (TokenSampled& sampled : sample_rows(of.epoch, of.step, of.rows, is_newest, choose)) tell(std::move(sampled));
  }
  // Right drafts, wrong ones, too many, for a request that is not there, to an old question.
  void drafted(std::uint8_t which) {
    Drafted drafted{ask_.ask - (which == 255 ? 1 : 0), {}, Duration(which * 100)};
    for (const AskDrafts::Text& text : ask_.texts) {
      Drafted::Text answer{text.request + (which == 254 ? 1 : 0), {}};
      const std::size_t known = text.from + text.tokens.size();
      for (std::uint32_t i = 0; i < text.count + (which == 253 ? 1 : 0); ++i) {
        const auto right = checker_.right_token(text.request, known + i);
        answer.tokens.push_back(right && i < which % 8u ? *right : static_cast<Token>(which % kVocabulary));
      }
      drafted.texts.push_back(std::move(answer));
    }
    tell(drafted);
  }
  void step_fails(std::uint8_t which) {
    const SendStep of = step(which);
    constexpr ErrorCode kCodes[] = {ErrorCode::kInternal, ErrorCode::kUnavailable, ErrorCode::kNotFound};
    tell(StepFailed{of.epoch, of.step, kCodes[which % 3], "fuzz"});
  }
  void arrive(std::uint8_t which) {
    SequenceArrived arrived;
    arrived.request = which == 0 ? 0 : ++requests_;
    arrived.prompt.assign(which % 27, which);
    arrived.tokens_max = which % 9;
    const std::size_t context = limits(0).settings.context_tokens_max;
    if (!arrived.prompt.empty() && arrived.prompt.size() < context && arrived.tokens_max > 0) {
      const auto most = std::min<std::size_t>(arrived.tokens_max, context - arrived.prompt.size());
      answers_[arrived.request] = {
          arrived.prompt.size(),
          sim::answer_alone(kLayers, arrived.prompt, static_cast<std::uint32_t>(most), kVocabulary)};
    }
    tell(arrived);
  }
  void cancel(std::uint8_t which) {
    tell(SequenceCancelled{requests_ - std::min<std::uint64_t>(requests_, which % 8)});
  }
  void later(std::uint8_t which) {
    now_ += std::chrono::seconds(which);
    tell(Timer{});
  }
  void timer(std::uint8_t) { tell(Timer{}); }

  Scheduler scheduler_;
  sim::Checker checker_;
  Time now_;
  std::map<Epoch, PlannedPlan> plans_;
  std::vector<StageId> stages_;
  std::vector<SendStep> steps_;
  AskDrafts ask_;
  std::uint64_t requests_ = 0;
  std::map<std::uint64_t, std::pair<std::size_t, sim::Answer>> answers_;  // with the prompt's length
};

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shoal::World world(size > 0 ? data[size - 1] : 0);
  for (std::size_t i = 0; i + 1 < size && i / 2 < shoal::kEventsMax; i += 2) world.happen(data[i], data[i + 1]);
  return 0;
}
