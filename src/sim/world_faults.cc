// What the faults of the table (faults.h) do.
#include <algorithm>

#include "sim/faults.h"
#include "sim/world.h"

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kAllKindsPercent = 60;  // of the seeds; the others draw some kinds
constexpr std::uint64_t kGapMaxS[] = {3, 10, 30, 90};

}  // namespace

// Fault after fault, with drawn gaps; how dense is drawn, too.
void World::draw_all_faults() {
  const auto kinds = fault_kinds();
  std::vector<std::uint32_t> weights;
  for (const FaultKind& kind : kinds) weights.push_back(kind.weight);
  const bool all = chance(kAllKindsPercent);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const bool wanted = options_.fault_kinds.empty()
                            ? all || chance(30)
                            : std::count(options_.fault_kinds.begin(), options_.fault_kinds.end(), kinds[i].name) > 0;
    if (!wanted) weights[i] = 0;
  }
  std::uint64_t sum = 0;
  for (const std::uint32_t weight : weights) sum += weight;
  if (sum == 0) return;
  const std::uint64_t gap_max_ms = 2 * 1000 * kGapMaxS[random_.below(std::size(kGapMaxS))];
  for (Duration at = milliseconds(between(1, gap_max_ms)); at < faults_until_;
       at += milliseconds(between(1, gap_max_ms))) {
    std::uint64_t draw = random_.below(sum);
    std::size_t kind = 0;
    for (; draw >= weights[kind]; ++kind) draw -= weights[kind];
    draw_fault(kinds[kind], at);
  }
}

void World::draw_fault(const FaultKind& kind, Duration at) {
  Fault fault{random_.below(phones_.size()), random_.below(phones_.size()), random_()};
  if (fault.other == fault.phone) fault.other = (fault.phone + 1) % phones_.size();
  const auto shortest = static_cast<std::uint64_t>(kind.shortest.count());
  const auto longest =
      static_cast<std::uint64_t>(chance(70) ? std::max(kind.shortest, kind.longest / 4).count() : kind.longest.count());
  const Duration until = std::min(at + Duration(between(shortest, longest)), faults_until_);
  queue_.after(at, [this, &kind, fault] {
    ++report_.faults[kind.name];
    note(20, fault.phone, fault.draw);
    say("fault: {} of {}", kind.name, phones_[fault.phone].profile.name);
    checker_.disturbed(queue_.now());
    (this->*kind.begin)(fault);
  });
  if (kind.end == nullptr) return;
  queue_.after(until, [this, &kind, fault] {
    say("the end of: {} of {}", kind.name, phones_[fault.phone].profile.name);
    checker_.disturbed(queue_.now());
    (this->*kind.end)(fault);
  });
}

void World::begin_kill(const Fault& fault) {
  kill(fault.phone, true);
}
void World::begin_power_loss(const Fault& fault) {
  kill(fault.phone, false);
}
void World::begin_phone(const Fault& fault) {
  start(fault.phone);
}

void World::begin_stop(const Fault& fault) {
  network_.stop(fault.phone + 1);
}
void World::end_stop(const Fault& fault) {
  network_.wake(fault.phone + 1);
}

void World::begin_doze(const Fault& fault) {
  network_.doze(fault.phone + 1, milliseconds(100 + fault.draw % 1900));
}
void World::end_doze(const Fault& fault) {
  network_.doze(fault.phone + 1, {});
}

// One direction of one path, or of all of a phone's.
template <typename What>
void World::each_direction(const Fault& fault, What what) {
  const std::size_t phone = fault.phone + 1;
  switch (fault.draw % 6) {
    case 0:
      return what(phone, kCoordinator);
    case 1:
      return what(kCoordinator, phone);
    case 2:
    case 3:
      if (fault.other != fault.phone) what(phone, fault.other + 1);
      return;
    default:
      break;
  }
  const bool sends = fault.draw % 6 == 4;
  for (std::size_t other = 0; other <= phones_.size(); ++other) {
    if (other != phone) sends ? what(phone, other) : what(other, phone);
  }
}

void World::begin_cut(const Fault& fault) {
  each_direction(fault, [this](std::size_t from, std::size_t to) { network_.cut(from, to); });
}
void World::end_cut(const Fault& fault) {
  each_direction(fault, [this](std::size_t from, std::size_t to) { network_.mend(from, to); });
}

void World::begin_reset(const Fault& fault) {
  const Phone& phone = phones_[fault.phone];
  network_.reset(fault.draw % 3 == 0 ? phone.control : phone.next.link);
}

void World::begin_delay(const Fault& fault) {
  network_.slow(fault.phone + 1, 10 + static_cast<std::uint32_t>(fault.draw % 91));
}
void World::end_delay(const Fault& fault) {
  network_.slow(fault.phone + 1, 1);
}

void World::begin_slowness(const Fault& fault) {
  phones_[fault.phone].slowness = 2 + static_cast<std::uint32_t>(fault.draw % 9);
}
void World::end_slowness(const Fault& fault) {
  phones_[fault.phone].slowness = 1;
}

void World::begin_out_of_memory(const Fault& fault) {
  phones_[fault.phone].out_of_memory = true;
}
void World::end_out_of_memory(const Fault& fault) {
  phones_[fault.phone].out_of_memory = false;
}

void World::begin_repetitions(const Fault& fault) {
  phones_[fault.phone].repeats_itself = true;
}
void World::end_repetitions(const Fault& fault) {
  phones_[fault.phone].repeats_itself = false;
}

void World::begin_pause(const Fault& fault) {
  pause(fault.phone, true);
}
void World::end_pause(const Fault& fault) {
  pause(fault.phone, false);
}

// Nothing of it survives but what the phones know by themselves; who asked sees a connection that breaks.
void World::begin_restart(const Fault&) {
  if (coordinator_downs_++ > 0) return;
  ++coordinator_life_;
  ++timer_;
  keep_counts();
  for (Phone& phone : phones_) {
    phone.joined = false;
    phone.joined_control = 0;
  }
  network_.close_all(kCoordinator);
  lanes_.assign(lanes_.size(), {});
  for (const std::uint64_t request : checker_.restart(queue_.now())) {
    if (chance(70)) ask_again_.push_back(request);
  }
  scheduler_.emplace(model_, limits_);
}

void World::end_restart(const Fault&) {
  if (--coordinator_downs_ > 0) return;
  say("the coordinator is there again");
  for (const std::uint64_t request : std::exchange(ask_again_, {})) {
    SequenceArrived again = asked_.at(request);
    again.request = ++requests_;
    queue_.after(milliseconds(between(0, 2000)), [this, again] { ask(again); });
  }
}

}  // namespace shoal::sim
