// The world of one run: the scene that the seed gives, the coordinator's side, the phones, and the messages between.
//
// World owns everything; what happens is a function in the EventQueue. Drawn (world_scene.cc) before the clock starts;
// then the scheduler's actions (world_coordinator.cc) and what the phones do with them (world_phones.cc). The faults
// form adds links that break as real ones do (world_links.cc, network.h) and faults of every kind (faults.h,
// world_faults.cc).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "sim/checker.h"
#include "sim/event_queue.h"
#include "sim/faults.h"
#include "sim/network.h"
#include "sim/phone.h"
#include "sim/simulation.h"

namespace shoal::sim {

inline constexpr std::size_t kCoordinator = 0;  // end point 0; phone i is i + 1

class World {
 public:
  explicit World(const Options& options);
  Report run();

  // What the table of faults names.
  void begin_kill(const Fault& fault);
  void begin_power_loss(const Fault& fault);
  void begin_phone(const Fault& fault);
  void begin_stop(const Fault& fault);
  void end_stop(const Fault& fault);
  void begin_doze(const Fault& fault);
  void end_doze(const Fault& fault);
  void begin_cut(const Fault& fault);
  void end_cut(const Fault& fault);
  void begin_reset(const Fault& fault);
  void begin_delay(const Fault& fault);
  void end_delay(const Fault& fault);
  void begin_slowness(const Fault& fault);
  void end_slowness(const Fault& fault);
  void begin_out_of_memory(const Fault& fault);
  void end_out_of_memory(const Fault& fault);
  void begin_repetitions(const Fault& fault);
  void end_repetitions(const Fault& fault);
  void begin_pause(const Fault& fault);
  void end_pause(const Fault& fault);
  void begin_restart(const Fault& fault);
  void end_restart(const Fault& fault);

 private:
  // The scene, drawn from the seed.
  std::uint64_t between(std::uint64_t least, std::uint64_t most) { return least + random_.below(most - least + 1); }
  bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
  sched::Limits draw_limits();
  std::size_t draw_replicas();
  std::uint64_t memory_percent();
  void draw_families();
  plan::ModelShape draw_model();
  void draw_phones();
  void make_memory_scarce();
  std::vector<Token> draw_prompt(const std::vector<sched::SequenceArrived>& earlier);
  sched::SequenceArrived draw_request(std::uint64_t request, std::vector<sched::SequenceArrived>& earlier);
  void draw_users();
  void draw_users_of_ten_minutes();
  void draw_faults();
  void draw_shares();
  void draw_all_faults();
  void draw_fault(const FaultKind& kind, Duration at);
  template <typename What>
  void each_direction(const Fault& fault, What what);

  // Users.
  void ask(const sched::SequenceArrived& request);
  void give_up(std::uint64_t request);
  void watch();
  Duration heal_max() const;
  void keep_counts();

  // Coordinator.
  void tell(const sched::Event& event);
  void act(const sched::PublishPlan& action);
  void act(const sched::LoadStage& action);
  void act(const sched::DropStage& action);
  void act(const sched::FetchShard& action);
  void act(const sched::SendStep& action);
  void act(const sched::Replay& action);
  void act(const sched::AskDrafts& action);
  void act(const sched::Emit& action);
  void act(const sched::SetTimer& action);
  void act(const sched::WithdrawPlan& action);
  void act(const sched::SequenceMoved& action);
  void step_came_back(const FakeStep& step, bool repeats);
  bool takes_result(const FakeStep& step);
  std::vector<sched::TokenSampled> sample(const FakeStep& step);

  // What the coordinator keeps of a lane.
  struct Lane {
    Epoch epoch;                    // the newest published; 0: withdrawn
    std::set<std::size_t> in_plan;  // phones that it names
    std::set<StepId> under_way;
    Epoch refused;  // some stage was out of memory in it
  };
  Lane* lane_of(Epoch epoch);
  bool in_one_plan(std::size_t phone, std::size_t other) const;
  bool is_idle() const;

  // Phones.
  void start(std::size_t phone);
  void kill(std::size_t phone, bool noticed);
  void pause(std::size_t phone, bool paused);
  void load(std::size_t phone, const sched::LoadStage& action);
  void arrive(std::size_t phone, FakeStep step);
  void compute(std::size_t phone, std::size_t place, StageId stage, FakeStep step);
  void see_plan(std::size_t phone, const sched::PlannedPlan& plan);
  void later(std::size_t phone, Duration wait, std::function<void()> what);
  void hear(std::size_t phone, sched::Event event);
  std::uint64_t stage_bytes(LayerRange range) const;

  // Links of the faults form.
  void dial_coordinator(std::size_t phone);
  void dial_later(std::size_t phone);
  void hear_hello(std::size_t phone, LinkId link);
  void link_closed(LinkId link, std::size_t end);
  void lose_coordinator(std::size_t phone);
  void drop_data_link(DataLink& next, std::size_t phone);
  void link_to_next(std::size_t phone);
  void dial_next(std::size_t phone);
  void dial_next_again(std::size_t phone);
  void settle_data_link(std::size_t phone, DataLink::Way way);
  void lose_data_link(std::size_t phone);
  void send_data(std::size_t phone, std::size_t to, std::function<void()> deliver);
  void send_by_link(std::size_t from, std::size_t to, std::function<void()> deliver);

  // A message from one end point to another: FIFO, and lost if either end dies or is dead.
  void send(std::size_t from, std::size_t to, std::function<void()> deliver);
  std::uint64_t life_of(std::size_t end) const {
    return end == kCoordinator ? coordinator_life_ : phones_[end - 1].life;
  }
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
  std::uint64_t families_ = 1;  // of kernels
  const sched::Limits limits_;
  const plan::ModelShape model_;
  const Duration faults_until_;
  std::optional<sched::Scheduler> scheduler_;
  Checker checker_;
  std::vector<Phone> phones_;
  std::map<NodeId, std::size_t> by_id_;
  std::map<std::pair<std::size_t, std::size_t>, Time> link_free_;
  Duration link_delay_{};
  Duration link_jitter_{};
  std::uint64_t timer_ = 0;  // the newest one
  std::vector<Lane> lanes_;
  Time published_;  // the newest plan
  Time busy_;       // some request was open
  Network network_;
  std::uint64_t coordinator_life_ = 1;
  int coordinator_downs_ = 0;  // restarts that are not over
  std::uint64_t requests_ = 0;
  std::map<std::uint64_t, sched::SequenceArrived> asked_;
  std::vector<std::uint64_t> ask_again_;
  std::uint64_t stage_steps_ = 0;
  std::uint64_t lose_steps_ = 0;  // of those about to be sent on
  bool users_done_ = false;
  std::uint64_t right_drafts_percent_ = 0;
  Time draft_model_ends_;
  std::uint64_t log_hash_ = 0;
  Report report_;
};

}  // namespace shoal::sim
