// Which lane computes which sequence. Pure: what each lane says of itself in, a decision out.
//
// A lane says what a token of each of its sequences takes there, and a row of a prompt, as measured in steps that came
// back (Pipeline::token_us): so what its phones' heat, their links and everything else on them cost is in it. On top
// comes what they are to be given: a lane whose nodes have a share of a half is taken for half as quick, so that a
// phone that runs flat or hot gets less. What was not measured yet counts as the mean of the lanes where it was.
//
// A sequence goes where it is expected to be done first (done_us): behind the prompt rows that wait there, in the
// company that is there, with what the lane's KV already has of its prompt. How long answers are is learned from those
// that have ended.
//
// One that runs moves to another lane where that saves, over its expected rest, kGainMin times what computing it there
// again from its tokens costs, and kGainLeast at least; what it takes from the others there and gives to those here
// counts too. So that nothing flaps: one is looked for every kLookEvery, and no sequence moves again before
// kRestAfterMove, twice as long after each move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.h"

namespace shoal::sched {

// Of a lane, as it is now.
struct Outlook {
  bool serves = false;
  double ready_us = 0;          // until it serves, where it loads
  std::size_t streams = 0;      // live sequences
  std::size_t waiting = 0;      // sequences that wait for a place among them
  std::size_t prompt_rows = 0;  // that wait to be computed
  double token_us = 0;          // with so many streams; 0: not known, as those that follow
  double token_more_us = 0;     // with one more
  double token_less_us = 0;     // with one less
  double prompt_row_us = 0;
  double share = 1;  // above 0
};

// What nobody has measured is taken from the others.
void fill_in(std::span<Outlook> lanes);

// When a sequence with so many rows to compute and so many tokens to come would be done there, from now on. `tokens`:
// also of those that it may have to wait for.
double done_us(const Outlook& lane, double rows, double tokens);

struct Mover {
  double rows = 0;    // to compute there
  double tokens = 0;  // to come
};
// What a stream's move saves all in all, and costs, in microseconds.
struct MoveValue {
  double saved_us = 0;
  double cost_us = 0;
  double gain_us() const { return saved_us - cost_us; }
  bool pays() const;
};
MoveValue move_value(const Outlook& from, const Outlook& to, const Mover& mover);

inline constexpr double kMoveGainMin = 1.5;
inline constexpr Duration kMoveGainLeast = std::chrono::seconds(1);
inline constexpr Duration kLookEvery = std::chrono::milliseconds(500);
inline constexpr Duration kRestAfterMove = std::chrono::seconds(5);

// Not before that may a sequence that has moved so often move again.
Time may_move_again(Time moved_at, std::uint32_t moves);

// How long answers get.
class AnswerLength {
 public:
  void ended(std::uint32_t tokens);
  // Of a new one that may have so many.
  double of_new(std::uint32_t tokens_max) const;
  // That are still to come of one that has got so many.
  double rest(std::uint32_t tokens, std::uint32_t tokens_max) const;

 private:
  double mean_ = 128;
};

}  // namespace shoal::sched
