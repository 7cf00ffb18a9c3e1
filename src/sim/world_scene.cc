#include "sim/world.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kLayerBytes = 1000;
constexpr std::uint64_t kStageBytes = 100;
constexpr std::uint64_t kScarceOneIn = 4;  // seeds of the faults form have little memory
constexpr Duration kTenMinutes = std::chrono::minutes(10);
constexpr std::uint64_t kOnePipelinePercent = 60;  // of the seeds
constexpr std::uint64_t kReplicasSalt = 0x5ea1;
constexpr std::uint64_t kMemorySalt = 0x3e3;
constexpr std::uint64_t kFamiliesPercent = 30;  // of the seeds with several pipelines have two kernel families
constexpr std::uint64_t kFamiliesSalt = 0xfa3;
constexpr std::uint64_t kSharesSalt = 0x54a;
constexpr std::uint64_t kStepsLostMax = 2;  // one fewer than the failures after which a sequence ends with an error

}  // namespace

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
  limits.keep_plan = chance(20) || options_.keep_plan;
  limits.spares = chance(30) ? between(1, 3) : 0;
  if (options_.all_faults) limits.step_wait_max = seconds(between(10, 20));
  limits.replicas = draw_replicas();
  if (SplitMix64 random(options_.seed ^ kFamiliesSalt); limits.replicas > 1 && random.below(100) < kFamiliesPercent) {
    limits.settings.exact = random.below(2) == 0 ? ExactMode::kAuto : ExactMode::kOn;
    families_ = 2;
  }
  return limits;
}

// Drawn apart from all else, as all that belongs to it: what a seed with one pipeline is does not depend on it.
std::size_t World::draw_replicas() {
  if (options_.replicas > 0) return options_.replicas;
  SplitMix64 random(options_.seed ^ kReplicasSalt);
  return random.below(100) < kOnePipelinePercent ? 1 : 2 + random.below(3);
}

// So that there are several pipelines in most of those worlds, and in some fewer than there might be.
std::uint64_t World::memory_percent() {
  if (limits_.replicas == 1) return 100;
  SplitMix64 random(options_.seed ^ kMemorySalt);
  return 100 + random.below(100 * limits_.replicas);
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
  const std::size_t count = options_.nodes        ? options_.nodes
                            : options_.all_faults ? between(3, chance(70) ? 8 : 20)
                                                  : between(1, chance(10) ? 30 : 8);
  const std::uint64_t need = model_.layer_count * kLayerBytes + model_.first_stage_bytes + model_.last_stage_bytes;
  const std::uint64_t one = need * between(130, 400) / 100 / count + kStageBytes + 3 * kLayerBytes;
  const std::uint64_t share = one * memory_percent() / 100;
  phones_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Phone& phone = phones_[i];
    for (std::size_t byte = 0; byte < 4; ++byte) phone.profile.node.key.bytes[byte] = random_() & 255;
    phone.profile.node.key.bytes[4] = static_cast<std::uint8_t>(i >> 8);
    phone.profile.node.key.bytes[5] = static_cast<std::uint8_t>(i & 255);
    phone.profile.name = fmt::format("phone{}", i + 1);
    phone.memory_bytes = share + share * between(0, 50) / 100;
    phone.per_row_layer = Duration(between(20, 300));
    phone.per_step = Duration(between(100, 1500));
    phone.journal_rows_max = chance(20) ? between(1, 60) : 100000;
    by_id_[phone.profile.node] = i;
    queue_.after(milliseconds(between(0, 2000)), [this, i] { start(i); });
  }
  if (options_.all_faults && options_.seed % kScarceOneIn == 0) make_memory_scarce();
  for (Phone& phone : phones_) {
    phone.profile.memory_bytes_max = phone.memory_bytes * options_.memory_told_percent / 100;
  }
  if (families_ > 1) draw_families();
}

// Where answers are to be exact, some family must be able to hold the model.
void World::draw_families() {
  SplitMix64 random(options_.seed ^ kFamiliesSalt ^ kSharesSalt);
  for (Phone& phone : phones_) phone.profile.kernel_family = random.below(families_) == 0 ? "one" : "other";
  std::vector<plan::NodeProfile> all;
  for (const Phone& phone : phones_) all.push_back(phone.profile);
  plan::PlanRules rules;
  rules.one_kernel_family = limits_.settings.exact == ExactMode::kOn;
  if (plan::make_plan(model_, all, rules).ok()) return;
  for (Phone& phone : phones_) phone.profile.kernel_family = "one";
}

// All phones together have just room for the model, or a little more: without one of them there is no plan, or one that
// is cut anew.
void World::make_memory_scarce() {
  for (std::uint64_t percent = 30; percent < 100; percent += 10) {
    std::vector<plan::NodeProfile> less;
    for (const Phone& phone : phones_) {
      less.push_back(phone.profile);
      less.back().memory_bytes_max = phone.memory_bytes * percent / 100;
    }
    if (!plan::make_plan(model_, less).ok()) continue;
    const std::uint64_t more = percent + options_.seed / kScarceOneIn % 3 * 15;
    for (Phone& phone : phones_) phone.memory_bytes = phone.memory_bytes * std::min<std::uint64_t>(more, 100) / 100;
    return;
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

SequenceArrived World::draw_request(std::uint64_t request, std::vector<SequenceArrived>& earlier) {
  SequenceArrived arrived;
  arrived.request = request;
  arrived.prompt = draw_prompt(earlier);
  arrived.tokens_max = static_cast<std::uint32_t>(between(1, 80));
  if (!arrived.prompt.empty()) earlier.push_back(arrived);
  arrived.logits_wanted = static_cast<std::uint32_t>(between(1, 40));
  return arrived;
}

void World::draw_users() {
  const std::uint64_t count = options_.requests ? options_.requests : between(1, 60);
  std::vector<SequenceArrived> earlier;
  for (std::uint64_t request = 1; request <= count; ++request) {
    const SequenceArrived arrived = draw_request(request, earlier);
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

// Bursts, some time apart, and some at the end, when all must be well again.
void World::draw_users_of_ten_minutes() {
  std::vector<SequenceArrived> earlier;
  const Duration healed = faults_until_ + heal_max();
  checker_.healed_from(Time(healed));
  const auto burst = [&](Duration from, Duration to, std::uint64_t most) {
    for (std::uint64_t i = between(1, most); i > 0; --i) {
      const SequenceArrived arrived = draw_request(++requests_, earlier);
      const auto length_ms = static_cast<std::uint64_t>((to - from) / milliseconds(1));
      queue_.after(from + milliseconds(between(0, length_ms)), [this, arrived] { ask(arrived); });
    }
  };
  const std::uint64_t count = options_.requests ? options_.requests : between(20, 300);
  while (requests_ < count) {
    const Duration at = milliseconds(between(0, static_cast<std::uint64_t>(healed / milliseconds(1))));
    burst(at, at + milliseconds(chance(50) ? 1500 : 15000), 8);
  }
  burst(healed, healed + seconds(20), 6);
  queue_.after(std::max<Duration>(healed + seconds(21), kTenMinutes), [this] { users_done_ = true; });
}

// Whoever finds nobody listening tries again. Some lose patience, some sooner than others.
void World::ask(const SequenceArrived& request) {
  if (coordinator_downs_ > 0) {
    queue_.after(milliseconds(between(100, 1000)), [this, request] { ask(request); });
    return;
  }
  asked_[request.request] = request;
  const Duration patience = milliseconds(chance(30) ? between(1, 10000) : between(30000, 180000));
  queue_.after(patience, [this, id = request.request] { give_up(id); });
  say("request {} asks with {} tokens for {}", request.request, request.prompt.size(), request.tokens_max);
  tell(request);
}

void World::give_up(std::uint64_t request) {
  if (!checker_.is_open(request)) return;
  say("request {} is given up", request);
  ++report_.requests_given_up;
  tell(SequenceCancelled{request});
  if (checker_.is_open(request)) checker_.violation(fmt::format("request {} has not ended by its deadline", request));
}

// Phones that run hot, and cool down again. Drawn for shoals with several pipelines only.
void World::draw_shares() {
  SplitMix64 random(options_.seed ^ kSharesSalt);
  const auto until_ms = static_cast<std::uint64_t>(faults_until_ / milliseconds(1));
  for (std::uint64_t i = random.below(2 * phones_.size()); i > 0; --i) {
    const std::size_t phone = random.below(phones_.size());
    const auto permille = static_cast<std::uint32_t>(random.below(1100));
    queue_.after(milliseconds(random.below(until_ms)), [this, phone, permille] {
      say("{} is given {} permille", phones_[phone].profile.name, permille);
      if (phones_[phone].joined) tell(NodeShare{phones_[phone].profile.node, permille});
    });
  }
}

void World::draw_faults() {
  if (!options_.faults) return;
  if (limits_.replicas > 1) draw_shares();
  if (options_.all_faults) return draw_all_faults();
  const auto until_ms = static_cast<std::uint64_t>(faults_until_ / milliseconds(1));
  for (std::uint64_t i = between(0, chance(10) ? 40 : 8); i > 0; --i) {
    const std::size_t phone = random_.below(phones_.size());
    const Duration at = milliseconds(between(1000, until_ms));
    const Duration back = milliseconds(between(10, chance(20) ? 20000 : 4000));
    const bool noticed = chance(80);
    queue_.after(at, [this, phone, noticed] { kill(phone, noticed); });
    queue_.after(std::min(at + back, faults_until_ + seconds(1)), [this, phone] { start(phone); });
  }
  for (std::uint64_t i = chance(40) ? between(1, 4) : 0; i > 0; --i) {
    const std::size_t phone = random_.below(phones_.size());
    const Duration at = milliseconds(between(1000, until_ms));
    queue_.after(at, [this, phone] { pause(phone, true); });
    queue_.after(std::min<Duration>(at + milliseconds(between(10, 20000)), faults_until_),
                 [this, phone] { pause(phone, false); });
  }
  for (std::uint64_t i = chance(30) ? between(1, kStepsLostMax) : 0; i > 0; --i) {
    queue_.after(milliseconds(between(3000, until_ms)), [this] { ++lose_steps_; });
  }
  queue_.after(faults_until_, [this] { lose_steps_ = 0; });
}

}  // namespace shoal::sim
