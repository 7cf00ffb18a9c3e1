#include "sim/world.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kLayerBytes = 1000;
constexpr std::uint64_t kStageBytes = 100;
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

}  // namespace shoal::sim
