// The links of the faults form, as node/node.cc, node/data_links.cc and coordinator/cluster.cc make them: a phone dials
// the coordinator, again and again with a growing pause, and the phone of the next stage, for 4 s, then its steps go
// through the coordinator. What the scheduler is told of links that break follows from that.
#include <algorithm>

#include "sim/world.h"

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kRetryMin = milliseconds(200);  // node/node.h
constexpr Duration kRetryMax = seconds(10);        // node/node.h
constexpr Duration kDialMax = milliseconds(1500);  // node/data_links.cc, as the next two
constexpr Duration kDirectMax = seconds(4);
constexpr Duration kRetryPause = milliseconds(50);
constexpr std::size_t kPendingFramesMax = 256;  // node/data_links.h
constexpr int kOpeningTrips = 4;                // of TCP and TLS, one way each

}  // namespace

// On a phone: lost if it dies, or loses its control link; late if it is stopped.
void World::later(std::size_t index, Duration wait, std::function<void()> what) {
  queue_.after(wait, [this, index, life = phones_[index].life, what = std::move(what)] {
    if (phones_[index].life != life) return;
    if (!options_.all_faults) return what();
    network_.when_awake(index + 1, [this, index, life, what] {
      if (phones_[index].life == life) what();
    });
  });
}

// --- control links ---

void World::dial_coordinator(std::size_t index) {
  const std::size_t end = index + 1;
  const bool refused = coordinator_downs_ > 0;
  if (refused || !network_.reachable(end, kCoordinator)) {
    return later(index, refused ? network_.delay(end, kCoordinator) : kDialMax, [this, index] { dial_later(index); });
  }
  later(index, network_.delay(end, kCoordinator) * kOpeningTrips, [this, index, end, life = coordinator_life_] {
    if (coordinator_downs_ > 0 || life != coordinator_life_ || !network_.reachable(end, kCoordinator)) {
      return dial_later(index);
    }
    const LinkId link = phones_[index].control = network_.open(end, kCoordinator);
    network_.send(link, end, [this, index, link] { hear_hello(index, link); });
  });
}

void World::dial_later(std::size_t index) {
  Phone& phone = phones_[index];
  const Duration pause =
      phone.retry_pause / 2 + Duration(random_.below(static_cast<std::uint64_t>(phone.retry_pause.count() / 2 + 1)));
  phone.retry_pause = std::min(phone.retry_pause * 2, kRetryMax);
  later(index, pause, [this, index] { dial_coordinator(index); });
}

void World::hear_hello(std::size_t index, LinkId link) {
  Phone& phone = phones_[index];
  if (const LinkId old = std::exchange(phone.joined_control, 0); old != 0) {
    phone.joined = false;
    tell(NodeLost{phone.profile.node});
    network_.close(old, kCoordinator);
  }
  say("{} joins", phone.profile.name);
  phone.joined = true;
  phone.joined_control = link;
  network_.send(link, kCoordinator, [this, index] { phones_[index].retry_pause = kRetryMin; });
  tell(NodeJoined{phone.profile, phone.paused});
}

void World::link_closed(LinkId link, std::size_t end) {
  if (end == kCoordinator) {
    const auto lost =
        std::find_if(phones_.begin(), phones_.end(), [&](const Phone& phone) { return phone.joined_control == link; });
    if (lost == phones_.end()) return;
    lost->joined = false;
    lost->joined_control = 0;
    say("{} is lost", lost->profile.name);
    ++report_.nodes_lost;
    return tell(NodeLost{lost->profile.node});
  }
  const std::size_t index = end - 1;
  Phone& phone = phones_[index];
  if (phone.control == link) return lose_coordinator(index);
  if (phone.next.link == link) return lose_data_link(index);
  phone.accepted.erase(link);
}

// Its plan is void, and with it all stages and data links.
void World::lose_coordinator(std::size_t index) {
  Phone& phone = phones_[index];
  say("{} has lost the coordinator", phone.profile.name);
  phone.control = 0;
  ++phone.life;
  drop_data_link(phone.next, index);
  for (const auto& [accepted, dialler] : std::exchange(phone.accepted, {})) network_.close(accepted, index + 1);
  phone.forget();
  phone.retry_pause = std::max(phone.retry_pause, kRetryMin);
  dial_later(index);
}

// --- data links ---

void World::drop_data_link(DataLink& next, std::size_t index) {
  if (next.link != 0) network_.close(next.link, index + 1);
  next = {};
}

void World::link_to_next(std::size_t index) {
  Phone& phone = phones_[index];
  std::erase_if(phone.accepted, [&](const auto& item) {
    const NodeId dialler = phones_[item.second].profile.node;
    const bool stays = phone.knows(dialler);
    if (!stays) network_.close(item.first, index + 1);
    return !stays;
  });
  const auto place = phone.place_in_plan();
  if (!place || *place + 1 == phone.plan.stages.size()) return drop_data_link(phone.next, index);
  const std::size_t to = phone_of(phone.plan.stages[*place + 1].node);
  phone.next.pending.clear();  // of an older epoch
  if (phone.next.to == to && phone.next.way == DataLink::Way::kDirect) return;
  drop_data_link(phone.next, index);
  phone.next.way = DataLink::Way::kDialling;
  phone.next.to = to;
  phone.next.dial_until = queue_.now() + kDirectMax;
  phone.next.dialling = ++phone.dials;
  dial_next(index);
}

void World::dial_next(std::size_t index) {
  const DataLink& next = phones_[index].next;
  const std::size_t from = index + 1;
  const std::size_t to = next.to + 1;
  const auto then = [&](Duration wait, auto what) {
    later(index, wait, [this, index, dialling = next.dialling, what] {
      if (phones_[index].next.dialling == dialling) what();
    });
  };
  if (!network_.reachable(from, to)) {
    return then(network_.refused(to) ? network_.delay(from, to) : kDialMax, [this, index] { dial_next_again(index); });
  }
  then(network_.delay(from, to) * (kOpeningTrips + 2), [this, index, from, to] {
    const Phone& peer = phones_[to - 1];
    const bool welcome = network_.reachable(from, to) && peer.knows(phones_[index].profile.node);
    if (!welcome) return dial_next_again(index);
    phones_[index].next.link = network_.open(from, to);
    phones_[to - 1].accepted[phones_[index].next.link] = index;
    settle_data_link(index, DataLink::Way::kDirect);
  });
}

void World::dial_next_again(std::size_t index) {
  const DataLink& next = phones_[index].next;
  if (queue_.now() >= next.dial_until) return settle_data_link(index, DataLink::Way::kRelay);
  later(index, kRetryPause, [this, index, dialling = next.dialling] {
    if (phones_[index].next.dialling == dialling) dial_next(index);
  });
}

void World::settle_data_link(std::size_t index, DataLink::Way way) {
  DataLink& next = phones_[index].next;
  next.way = way;
  next.dialling = ++phones_[index].dials;
  if (way == DataLink::Way::kRelay)
    say("{} reaches {} through the coordinator", phones_[index].profile.name, phones_[next.to].profile.name);
  for (auto& frame : std::exchange(next.pending, {})) send_data(index, next.to, std::move(frame));
}

// The steps on it may be lost: the coordinator is told of the newest.
void World::lose_data_link(std::size_t index) {
  Phone& phone = phones_[index];
  ++report_.links_broken;
  say("{}: the link to {} is broken", phone.profile.name, phones_[phone.next.to].profile.name);
  phone.next.link = 0;
  settle_data_link(index, DataLink::Way::kRelay);
  hear(index,
       StepFailed{phone.plan.epoch, phone.last_sent, ErrorCode::kUnavailable, "the link to the next stage is broken"});
}

void World::send_data(std::size_t index, std::size_t to, std::function<void()> deliver) {
  Phone& phone = phones_[index];
  DataLink& next = phone.next;
  if (next.way == DataLink::Way::kNone || next.to != to) return;  // of a plan that is gone
  if (next.way == DataLink::Way::kDirect) return network_.send(next.link, index + 1, std::move(deliver));
  if (next.way == DataLink::Way::kDialling) {
    if (next.pending.size() < kPendingFramesMax) next.pending.push_back(std::move(deliver));
    return;
  }
  ++report_.steps_relayed;
  network_.send(phone.control, index + 1, [this, index, to, link = phone.control, deliver = std::move(deliver)] {
    if (phones_[index].joined_control != link || !in_one_plan(index, to)) return;
    network_.send(phones_[to].joined_control, kCoordinator, [this, index, to, deliver] {
      if (phones_[to].knows(phones_[index].profile.node)) deliver();
    });
  });
}

// A message between end points; a step, if both are phones.
void World::send_by_link(std::size_t from, std::size_t to, std::function<void()> deliver) {
  if (from == kCoordinator) return network_.send(phones_[to - 1].joined_control, from, std::move(deliver));
  if (to != kCoordinator) return send_data(from - 1, to - 1, std::move(deliver));
  network_.send(phones_[from - 1].control, from,
                [this, index = from - 1, link = phones_[from - 1].control, deliver = std::move(deliver)] {
                  if (phones_[index].joined_control == link) deliver();
                });
}

// What a phone tells the scheduler, and perhaps again later: with the same coordinator, that is.
void World::hear(std::size_t index, Event event) {
  const bool again = options_.all_faults && phones_[index].repeats_itself && chance(50);
  send(index + 1, kCoordinator, [this, event, again] {
    tell(event);
    if (!again) return;
    queue_.after(milliseconds(between(0, chance(50) ? 20 : 5000)), [this, event, life = coordinator_life_] {
      if (life == coordinator_life_) tell(event);
    });
  });
}

}  // namespace shoal::sim
