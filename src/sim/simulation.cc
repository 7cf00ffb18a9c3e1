#include "sim/simulation.h"

#include <algorithm>
#include <map>

#include "base/random.h"
#include "sched/sampled.h"
#include "sim/checker.h"
#include "sim/event_queue.h"
#include "sim/phone.h"

namespace shoal::sim {
namespace {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kLayerBytes = 1000;
constexpr std::uint64_t kStageBytes = 100;
constexpr std::uint32_t kLoadFailuresMax = 2;  // a phone may fail so often: one try fewer than the scheduler's patience
constexpr std::uint64_t kStepsLostMax = 2;     // one fewer than the failures after which a sequence ends with an error
constexpr std::uint64_t kCoordinator = 0;      // end point 0; phone i is i + 1
constexpr std::size_t kEarlyStepsMax = 64;

class World {
 public:
  explicit World(const Options& options);
  Report run();

 private:
  // The scene, drawn from the seed.
  std::uint64_t between(std::uint64_t least, std::uint64_t most) { return least + random_.below(most - least + 1); }
  bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
  Limits draw_limits();
  plan::ModelShape draw_model();
  void draw_phones();
  std::vector<Token> draw_prompt(const std::vector<SequenceArrived>& earlier);
  void draw_users();
  void draw_faults();

  // Coordinator.
  void tell(const Event& event);
  void act(const PublishPlan& action);
  void act(const LoadStage& action);
  void act(const DropStage& action);
  void act(const FetchShard& action);
  void act(const SendStep& action);
  void act(const Replay& action);
  void act(const AskDrafts& action);
  void act(const Emit& action);
  void act(const SetTimer& action);
  void step_came_back(const FakeStep& step);

  // Phones.
  void start(std::size_t phone);
  void kill(std::size_t phone, bool noticed);
  void pause(std::size_t phone, bool paused);
  void load(std::size_t phone, const LoadStage& action);
  void arrive(std::size_t phone, FakeStep step);
  void compute(std::size_t phone, std::size_t place, StageId stage, FakeStep step);
  void see_plan(std::size_t phone, const PlannedPlan& plan);

  // A message from one end point to another: FIFO, and lost if either end dies or is dead.
  void send(std::size_t from, std::size_t to, std::function<void()> deliver);
  std::uint64_t life_of(std::size_t end) const { return end == kCoordinator ? 1 : phones_[end - 1].life; }
  bool alive(std::size_t end) const { return end == kCoordinator || phones_[end - 1].alive; }
  std::size_t phone_of(NodeId node) const { return by_id_.at(node); }

  void note(std::uint64_t kind, std::uint64_t a = 0, std::uint64_t b = 0) {
    log_hash_ =
        hash(log_hash_, hash(static_cast<Value>(queue_.now().time_since_epoch().count()), hash(kind, hash(a, b))));
  }
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (!options_.log) return;
    options_.log(fmt::format("{:>12.6f} {}", static_cast<double>(queue_.now().time_since_epoch().count()) * 1e-6,
                             fmt::format(format, std::forward<Args>(args)...)));
  }

  const Options& options_;
  SplitMix64 random_;
  EventQueue queue_;
  const std::uint32_t vocabulary_;
  const Limits limits_;
  const plan::ModelShape model_;
  Scheduler scheduler_;
  Checker checker_;
  std::vector<Phone> phones_;
  std::map<NodeId, std::size_t> by_id_;
  std::map<std::pair<std::size_t, std::size_t>, Time> link_free_;
  Duration link_delay_{};
  Duration link_jitter_{};
  std::uint64_t timer_ = 0;  // the newest one
  Epoch epoch_;              // the newest published
  std::uint64_t stage_steps_ = 0;
  std::uint64_t lose_steps_ = 0;  // of those about to be sent on
  bool users_done_ = false;
  std::uint64_t right_drafts_percent_ = 0;
  Time draft_model_ends_;
  std::uint64_t log_hash_ = 0;
  Report report_;
};

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      vocabulary_(options.vocabulary ? options.vocabulary
                                     : static_cast<std::uint32_t>(chance(50) ? between(1, 4) : 32000)),
      limits_(draw_limits()),
      model_(draw_model()),
      scheduler_(model_, limits_),
      checker_(model_.layer_count, limits_, vocabulary_) {
  link_delay_ = Duration(between(100, 8000));
  link_jitter_ = Duration(between(0, 6000));
  right_drafts_percent_ = between(0, 100);
  draft_model_ends_ = Time(chance(20) ? seconds(between(5, 40)) : seconds(1'000'000));
}

Limits World::draw_limits() {
  Limits limits;
  limits.settings.context_tokens_max = static_cast<std::uint32_t>(between(64, 256));
  limits.settings.sequences_max = static_cast<std::uint32_t>(between(1, 8));
  limits.settings.kv_tokens_total =
      limits.settings.context_tokens_max * static_cast<std::uint32_t>(between(1, limits.settings.sequences_max));
  limits.rows_per_step_max = static_cast<std::uint32_t>(between(4, kStepRowsMax));
  limits.prompt_rows_per_step_max = static_cast<std::uint32_t>(between(1, 48));
  limits.draft_tokens_max = static_cast<std::uint32_t>(between(0, 12));
  limits.draft_model = chance(50);
  limits.prefix_cache = chance(70);
  limits.waiting_sequences_max = static_cast<std::uint32_t>(between(2, 30));
  limits.plan_wait_max = seconds(between(8, 30));
  limits.step_wait_max = seconds(10);
  limits.stage_retry_after = seconds(3);
  limits.load_wait_max = seconds(30);
  return limits;
}

plan::ModelShape World::draw_model() {
  const auto layers = options_.layers ? options_.layers : static_cast<std::uint32_t>(between(1, 24));
  plan::ModelShape model = plan::ModelShape::of_equal_layers(layers, kLayerBytes);
  for (std::uint32_t i = 1; i < model.layer_count; ++i) model.cut_allowed[i] = chance(90);
  model.first_stage_bytes = between(0, 500);
  model.last_stage_bytes = between(0, 500);
  model.every_stage_bytes = kStageBytes;
  return model;
}

void World::draw_phones() {
  const std::size_t count = options_.nodes ? options_.nodes : static_cast<std::size_t>(between(1, chance(10) ? 30 : 8));
  const std::uint64_t need = model_.layer_count * kLayerBytes + model_.first_stage_bytes + model_.last_stage_bytes;
  const std::uint64_t share = need * between(130, 400) / 100 / count + kStageBytes + 3 * kLayerBytes;
  phones_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Phone& phone = phones_[i];
    for (std::size_t byte = 0; byte < 4; ++byte) phone.profile.node.key.bytes[byte] = random_() & 255;
    phone.profile.node.key.bytes[4] = static_cast<std::uint8_t>(i >> 8);
    phone.profile.node.key.bytes[5] = static_cast<std::uint8_t>(i & 255);
    phone.profile.name = fmt::format("phone{}", i + 1);
    phone.profile.memory_bytes_max = share + share * between(0, 50) / 100;
    phone.per_row_layer = Duration(between(20, 300));
    phone.per_step = Duration(between(100, 1500));
    phone.journal_rows_max = chance(20) ? between(1, 60) : 100000;
    by_id_[phone.profile.node] = i;
    queue_.after(milliseconds(between(0, 2000)), [this, i] { start(i); });
  }
}

// Some begin as an earlier one did, as after a system prompt, and some go on after an earlier answer, as conversations
// do.
std::vector<Token> World::draw_prompt(const std::vector<SequenceArrived>& earlier) {
  std::vector<Token> prompt;
  if (!earlier.empty() && chance(40)) {
    const SequenceArrived& before = earlier[random_.below(earlier.size())];
    prompt = before.prompt;
    if (chance(50)) {
      prompt.resize(between(1, prompt.size()));
    } else if (prompt.size() < limits_.settings.context_tokens_max) {
      const Answer answer = answer_alone(model_.layer_count, prompt, before.tokens_max, vocabulary_);
      prompt.insert(prompt.end(), answer.tokens.begin(), answer.tokens.end());
    }
  }
  const std::uint64_t longest = limits_.settings.context_tokens_max * (chance(5) ? 2 : 1);
  const std::uint64_t length = chance(2) ? 0 : chance(50) ? between(1, 12) : between(1, longest);
  for (std::uint64_t i = 0; i < length; ++i) prompt.push_back(static_cast<Token>(random_.below(vocabulary_)));
  return prompt;
}

void World::draw_users() {
  const std::uint64_t count = options_.requests ? options_.requests : between(1, 60);
  std::vector<SequenceArrived> earlier;
  for (std::uint64_t request = 1; request <= count; ++request) {
    SequenceArrived arrived;
    arrived.request = request;
    arrived.prompt = draw_prompt(earlier);
    arrived.tokens_max = static_cast<std::uint32_t>(between(1, 80));
    if (!arrived.prompt.empty()) earlier.push_back(arrived);
    arrived.logits_wanted = static_cast<std::uint32_t>(between(1, 40));
    const Duration at = milliseconds(between(0, 45000));
    queue_.after(at, [this, arrived] {
      say("request {} asks with {} tokens for {}", arrived.request, arrived.prompt.size(), arrived.tokens_max);
      tell(arrived);
    });
    if (chance(20)) {
      queue_.after(at + milliseconds(between(0, 5000)), [this, request] {
        say("request {} is cancelled", request);
        tell(SequenceCancelled{request});
      });
    }
  }
  queue_.after(seconds(51), [this] { users_done_ = true; });
}

void World::draw_faults() {
  if (!options_.faults) return;
  const auto until_ms = static_cast<std::uint64_t>(options_.faults_until / milliseconds(1));
  for (std::uint64_t i = between(0, chance(10) ? 40 : 8); i > 0; --i) {
    const std::size_t phone = random_.below(phones_.size());
    const Duration at = milliseconds(between(1000, until_ms));
    const Duration back = milliseconds(between(10, chance(20) ? 20000 : 4000));
    const bool noticed = chance(80);
    queue_.after(at, [this, phone, noticed] { kill(phone, noticed); });
    queue_.after(std::min(at + back, options_.faults_until + seconds(1)), [this, phone] { start(phone); });
  }
  for (std::uint64_t i = chance(40) ? between(1, 4) : 0; i > 0; --i) {
    const std::size_t phone = random_.below(phones_.size());
    const Duration at = milliseconds(between(1000, until_ms));
    queue_.after(at, [this, phone] { pause(phone, true); });
    queue_.after(std::min(at + milliseconds(between(10, 20000)), options_.faults_until),
                 [this, phone] { pause(phone, false); });
  }
  for (std::uint64_t i = chance(30) ? between(1, kStepsLostMax) : 0; i > 0; --i) {
    queue_.after(milliseconds(between(3000, until_ms)), [this] { ++lose_steps_; });
  }
  queue_.after(options_.faults_until, [this] { lose_steps_ = 0; });
}

// --- coordinator ---

void World::tell(const Event& event) {
  ++report_.events;
  note(1, event.index());
  checker_.event(event);
  std::vector<Action> actions = scheduler_.on(event, queue_.now());
  if (options_.tamper) {
    for (Action& action : actions) {
      if (auto* step = std::get_if<SendStep>(&action)) options_.tamper(*step);
    }
  }
  checker_.actions(actions, scheduler_.snapshot(), phones_.size(), queue_.now());
  for (const Action& action : actions) std::visit([this](const auto& known) { act(known); }, action);
}

void World::act(const PublishPlan& action) {
  ++report_.epochs;
  epoch_ = action.plan.epoch;
  note(2, action.plan.epoch.value, action.plan.stages.size());
  say("epoch {}: {}", action.plan.epoch.value, action.plan.explanation);
  for (const PlannedPlan::Stage& stage : action.plan.stages) {
    const std::size_t phone = phone_of(stage.node);
    report_.stages_kept += phones_[phone].stages.contains(stage.stage);
    send(kCoordinator, phone + 1, [this, phone, plan = action.plan] { see_plan(phone, plan); });
  }
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
  send(kCoordinator, phone + 1, [this, phone, action] { phones_[phone].stages.erase(action.stage); });
}

void World::act(const FetchShard& action) {
  note(10, action.stage.value, action.range.first);
  const std::size_t phone = phone_of(action.node);
  say("{} is to keep the shard of {}", phones_[phone].profile.name, action.range.text());
  send(kCoordinator, phone + 1, [this, phone, action] {
    queue_.after(milliseconds(between(50, 2000)), [this, phone, action, life = phones_[phone].life] {
      if (phones_[phone].life != life) return;
      const bool fails = chance(5);
      report_.shards_fetched += !fails;
      send(phone + 1, kCoordinator, [this, action, fails] {
        if (fails) {
          tell(StageFailed{action.stage, ErrorCode::kResourceExhausted, "the flash is full"});
        } else {
          tell(ShardFetched{action.stage});
        }
      });
    });
  });
}

void World::act(const SendStep& action) {
  ++report_.steps;
  note(5, action.step.value, action.rows.size());
  say("step {} of epoch {}: {} rows, {} frees", action.step.value, action.epoch.value, action.rows.size(),
      action.frees.size());
  FakeStep step{action.epoch, action.step,  action.ends_at, {},
                action.rows,  action.frees, action.forks,   action.truncations};
  for (const Row& row : action.rows) step.rows.push_back({row.sequence, row.position, embed(row.position, row.token)});
  const std::size_t phone = phone_of(action.node);
  send(kCoordinator, phone + 1, [this, phone, step = std::move(step)] { arrive(phone, step); });
}

// Rows that the journal has go on at once, past the queue of what is to be computed.
void World::act(const Replay& action) {
  ++report_.replays;
  note(11, action.step.value, action.sequence.value);
  say("step {} of epoch {}: rows {} to {} of sequence {} from the journal of stage {}", action.step.value,
      action.epoch.value, action.first, action.first + action.count - 1, action.sequence.value, action.stage.value);
  const std::size_t index = phone_of(action.node);
  send(kCoordinator, index + 1, [this, index, action] {
    Phone& phone = phones_[index];
    const auto place = phone.place_in_plan();
    if (action.epoch != phone.plan.epoch || !place) return;
    const auto& journal = phone.stages.at(action.stage).journal;
    const auto found = journal.find(action.sequence);
    if (found == journal.end() || found->second.size() < action.first + action.count) {
      ++report_.replays_missing;
      send(index + 1, kCoordinator, [this, action] {
        tell(StepFailed{action.epoch, action.step, ErrorCode::kNotFound, "not in the journal"});
      });
      return;
    }
    FakeStep step{action.epoch, action.step, action.ends_at, {}, {}, {}, {}, {}};
    if (action.first == 0) step.frees = {action.sequence};
    for (std::uint32_t i = action.first; i < action.first + action.count; ++i) {
      step.rows.push_back({action.sequence, i, found->second[i]});
    }
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
  queue_.after(took, [this, drafted = std::move(drafted)] { tell(drafted); });
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

void World::step_came_back(const FakeStep& step) {
  const bool twice = chance(2);  // what comes again changes nothing
  for (int times = twice ? 2 : 1; times > 0; --times) {
    tell(StepDone{step.epoch, step.step});
    const auto is_newest = [&](std::size_t i) { return checker_.is_newest(step.sent[i]); };
    const auto choose = [&](std::size_t i) {
      const Value output = step.rows[i].value;
      return ChosenToken{token_of(output, vocabulary_), ends(output)};
    };
    for (TokenSampled& sampled : sample_rows(step.epoch, step.step, step.sent, is_newest, choose)) {
      tell(std::move(sampled));
    }
  }
}

// --- phones ---

void World::start(std::size_t index) {
  Phone& phone = phones_[index];
  if (phone.alive) return;
  phone.alive = true;
  ++phone.life;
  note(7, index);
  send(index + 1, kCoordinator, [this, index] {
    say("{} joins", phones_[index].profile.name);
    phones_[index].joined = true;
    phones_[index].joined_life = phones_[index].life;
    tell(NodeJoined{phones_[index].profile, phones_[index].paused});
  });
}

// `noticed`: the coordinator learns of it by itself; else only when the phone joins again or after a while.
void World::kill(std::size_t index, bool noticed) {
  Phone& phone = phones_[index];
  if (!phone.alive) return;
  phone.alive = false;
  const std::uint64_t life = ++phone.life;  // stays until it starts again
  phone.forget();
  ++report_.nodes_lost;
  note(8, index);
  say("{} dies", phone.profile.name);
  queue_.after(noticed ? milliseconds(between(1, 200)) : milliseconds(1500), [this, index, life] {
    if (phones_[index].life != life || !std::exchange(phones_[index].joined, false)) return;
    say("{} is lost", phones_[index].profile.name);
    tell(NodeLost{phones_[index].profile.node});
  });
}

void World::pause(std::size_t index, bool paused) {
  Phone& phone = phones_[index];
  if (std::exchange(phone.paused, paused) == paused) return;
  say("{} is {}", phone.profile.name, paused ? "paused" : "resumed");
  if (phone.joined) tell(NodePaused{phone.profile.node, paused});
}

void World::load(std::size_t index, const LoadStage& action) {
  Phone& phone = phones_[index];
  phone.stages.erase(action.stage);
  phone.stages.emplace(action.stage, Phone::Stage{FakeStage(action.range, limits_.settings), false, {}});
  const bool fails = options_.faults && queue_.now() < Time(options_.faults_until) &&
                     phone.load_failures < kLoadFailuresMax && chance(5);
  phone.load_failures += fails;
  queue_.after(milliseconds(between(50, 2000)), [this, index, stage = action.stage, fails, life = phone.life] {
    Phone& later = phones_[index];
    const auto found = later.stages.find(stage);
    if (later.life != life || found == later.stages.end()) return;
    found->second.ready = !fails;
    if (fails) {
      ++report_.stages_failed;
      later.stages.erase(found);
    }
    send(index + 1, kCoordinator, [this, index, stage, fails] {
      say("{}: stage {} {}", phones_[index].profile.name, stage.value, fails ? "failed" : "is ready");
      if (fails) {
        tell(StageFailed{stage, ErrorCode::kCorrupt, "shard is corrupt"});
      } else {
        tell(StageReady{stage});
      }
    });
  });
}

void World::see_plan(std::size_t index, const PlannedPlan& plan) {
  Phone& phone = phones_[index];
  if (plan.epoch <= phone.plan.epoch) return;
  phone.plan = plan;
  for (FakeStep& step : std::exchange(phone.early, {})) arrive(index, std::move(step));
}

void World::arrive(std::size_t index, FakeStep step) {
  Phone& phone = phones_[index];
  if (step.epoch > phone.plan.epoch) {  // its plan is on its way by another link
    if (phone.early.size() < kEarlyStepsMax) phone.early.push_back(std::move(step));
    return;
  }
  const auto place = phone.place_in_plan();
  if (step.epoch < phone.plan.epoch || !place) return;
  const std::uint32_t layers = phone.plan.stages[*place].range.count();
  const Duration cost = phone.per_step + phone.per_row_layer * static_cast<std::int64_t>(layers * step.rows.size());
  phone.busy_until = std::max(phone.busy_until, queue_.now()) + cost;
  // What is in the queue when a new plan comes is computed still, but goes nowhere.
  queue_.at(phone.busy_until, [this, index, place = *place, stage = phone.plan.stages[*place].stage, life = phone.life,
                               step = std::move(step)] {
    if (phones_[index].life == life) compute(index, place, stage, step);
  });
}

void World::compute(std::size_t index, std::size_t place, StageId stage, FakeStep step) {
  Phone& phone = phones_[index];
  const bool stale = phone.plan.epoch != step.epoch;
  const auto found = phone.stages.find(stage);
  if (stale && found == phone.stages.end()) return;
  StageFault fault = StageFault::kNone;
  if (options_.stage_fault != StageFault::kNone && ++stage_steps_ >= options_.stage_fault_at) {
    fault = options_.stage_fault;
  }
  Status status = Error{ErrorCode::kUnavailable, "the stage is not loaded"};
  if (found != phone.stages.end() && found->second.ready) {
    status = found->second.fake.compute(step.frees, step.rows, fault, step.truncations, step.forks);
  }
  if (stale) {
    if (status.ok()) phone.write_journal(found->second, step);
    return;
  }
  if (!status.ok()) {
    ++report_.steps_failed;
    say("{}: step {} failed: {}", phone.profile.name, step.step.value, status.error().message);
    // A phone that the new plan leaves out learns of it only by losing its stage: what it says of the old epoch is
    // stale.
    if (report_.steps_lost == 0 && step.epoch == epoch_) {
      checker_.violation("a stage refuses a step: " + status.error().message);
    }
    send(index + 1, kCoordinator, [this, epoch = step.epoch, id = step.step, error = status.error()] {
      tell(StepFailed{epoch, id, error.code, error.message});
    });
    return;
  }
  if (lose_steps_ > 0) {
    --lose_steps_;
    ++report_.steps_lost;
    say("step {} is lost behind {}", step.step.value, phone.profile.name);
    return;
  }
  phone.write_journal(found->second, step);
  if (place + 1 == phone.plan.stages.size() || stage == step.ends_at) {
    send(index + 1, kCoordinator, [this, step = std::move(step)] { step_came_back(step); });
    return;
  }
  const std::size_t next = phone_of(phone.plan.stages[place + 1].node);
  send(index + 1, next + 1, [this, next, step = std::move(step)] { arrive(next, step); });
}

void World::send(std::size_t from, std::size_t to, std::function<void()> deliver) {
  if (!alive(from) || !alive(to)) return;
  if (from == kCoordinator && phones_[to - 1].joined_life != life_of(to)) return;  // by a link that is dead already
  Time& free = link_free_[{from, to}];
  free = std::max(free, queue_.now() + link_delay_ + Duration(random_.below(link_jitter_.count() + 1)));
  queue_.at(free, [this, from, to, a = life_of(from), b = life_of(to), deliver = std::move(deliver)] {
    if (life_of(from) == a && life_of(to) == b) deliver();
  });
}

Report World::run() {
  draw_phones();
  draw_users();
  draw_faults();
  const Time end(options_.healed_by);
  while (queue_.now() < end && checker_.violations().empty()) {
    const bool idle = users_done_ && checker_.requests_open() == 0;
    if (idle && scheduler_.snapshot().steps_in_flight == 0 && scheduler_.snapshot().state == PlanState::kServing) break;
    queue_.step(end);
  }
  if (checker_.violations().empty()) {
    checker_.all_done(scheduler_.snapshot());
    for (const Phone& phone : phones_) {
      for (const auto& [id, stage] : phone.stages) {
        if (stage.fake.sequences() > checker_.sequences_kept()) {
          checker_.violation(fmt::format("{} still holds KV", phone.profile.name));
        }
      }
    }
  }
  report_.log_hash = log_hash_;
  report_.violations = checker_.violations();
  report_.tokens = checker_.tokens();
  report_.requests = checker_.requests();
  report_.answers = checker_.answers();
  report_.drafts_sent = scheduler_.snapshot().drafts_sent;
  report_.drafts_accepted = scheduler_.snapshot().drafts_accepted;
  report_.model_drafts_sent = scheduler_.snapshot().model_drafts_sent;
  report_.model_drafts_accepted = scheduler_.snapshot().model_drafts_accepted;
  report_.cached_tokens = scheduler_.snapshot().cached_tokens;
  report_.sequences_resumed = scheduler_.snapshot().sequences_resumed;
  report_.sequences_restarted = scheduler_.snapshot().sequences_restarted;
  report_.errors = checker_.errors();
  report_.simulated = queue_.now().time_since_epoch();
  return report_;
}

}  // namespace

std::string Report::text() const {
  return fmt::format(
      "{} of {} requests answered, {} errors, {} tokens in {} steps, {} of {} drafts right ({} of {} of a draft "
      "model), {} cached; {} epochs, {} nodes lost, {} steps lost, {} steps failed, {} stages failed, {} kept; {} "
      "sequences resumed, {} restarted, {} replays, {} not in a journal, {} shards fetched; {} events in {:.1f} s, "
      "hash "
      "{:016x}",
      answers, requests, errors, tokens, steps, drafts_accepted, drafts_sent, model_drafts_accepted, model_drafts_sent,
      cached_tokens, epochs, nodes_lost, steps_lost, steps_failed, stages_failed, stages_kept, sequences_resumed,
      sequences_restarted, replays, replays_missing, shards_fetched, events,
      std::chrono::duration<double>(simulated).count(), log_hash);
}

Report run(const Options& options) {
  return World(options).run();
}

}  // namespace shoal::sim
