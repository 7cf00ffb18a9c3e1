// The sequences a scheduler knows: those admitted to the pipeline and those that wait for it, first come first served.
//
// Invariants: at most sequences_max are live, and the cells they have reserved are at most kv_tokens_total; every
// waiting sequence came after every live one, but for those that were put in by another lane.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "sched/drafting.h"
#include "sched/numbers.h"
#include "sched/scheduler.h"

namespace shoal::sched {

// Rows of a sequence that want logits, in a step on its way.
struct Flight {
  StepId step;
  std::size_t drafts = 0;  // rows for drafts: all, or all but the first of the oldest flight
};

struct Sequence {
  std::uint64_t request = 0;
  std::uint64_t arrival = 0;  // its place in the queue
  Time arrived;
  std::vector<Token> tokens;  // prompt, then the answer so far
  std::uint32_t prompt_tokens = 0;
  std::uint32_t tokens_max = 0;
  std::uint32_t logits_wanted = 1;
  std::uint32_t cells_reserved = 0;
  std::uint32_t step_failures = 0;  // since its last token
  std::uint32_t cached_tokens = 0;  // of its prompt, found in the KV when it became live

  bool live = false;
  // Of the current epoch; Pipeline's.
  SequenceId id;           // none before its first row
  std::uint32_t sent = 0;  // rows on their way or through: positions [0, sent)
  bool prefilling = true;  // the rows of what `tokens` held when the epoch began are not all sent
  bool due = false;        // its newest token's row is to be sent
  // Steps whose logits will give its next tokens. The first has its newest token's row and drafts behind it, each
  // further one the drafts that follow: it counts only if all before it come true.
  std::deque<Flight> flights;
  bool sampling = false;         // the first of them is done, its tokens are being chosen
  std::vector<Token> drafts;     // of all flights
  bool drafts_of_model = false;  // the draft model's
  std::uint32_t kv_rows = 0;     // in the KV: `sent`, and what is to be truncated behind them
  // Behind the last row that came back: all before it are in the KV of all stages, and those of known tokens are what a
  // new plan can go on from.
  std::uint32_t done = 0;
  bool refilling = false;  // some stages of the plan lack its rows, and are given them (refill.h)

  NgramLookup lookup;
  Acceptance acceptance{0.5};  // of what lookup says, sent or not
  // The draft model's.
  std::uint32_t told = 0;            // of `tokens`
  bool asked = false;                // for what follows the newest token
  std::vector<Token> model_drafts;   // and its answer
  Acceptance model_acceptance{0.8};  // only asking tells: it is asked soon

  // Balance's.
  bool leaving = false;     // nothing is to be sent ahead of it
  std::uint32_t moves = 0;  // to another lane, for being quicker there
  Time moved_at;

  std::uint32_t emitted() const { return static_cast<std::uint32_t>(tokens.size()) - prompt_tokens; }
};

using SequenceOrder = std::map<std::uint64_t, Sequence*>;  // by arrival

class Sequences {
 public:
  Sequences(const Limits& limits, Numbers& numbers) : limits_(limits), numbers_(numbers) {}

  // The new sequence waits. kInvalidArgument: it can never work; nothing is kept. An id that is 0 or known: nullptr.
  Result<Sequence*> add(const SequenceArrived& event, Time now);
  Sequence* find(std::uint64_t request);
  Sequence* next_waiting() const;  // who has waited longest; nullptr: nobody
  // Whether a waiting sequence may become live beside the live ones and so many others, which hold so many cells.
  bool fits(const Sequence& sequence, std::size_t others, std::uint64_t their_cells) const;
  void admit(Sequence& sequence);  // it waits, and it fits
  // Takes it out, wherever it is.
  void remove(Sequence& sequence);

  // From one lane to another: what of it is true of any. put(): it waits; the others of its id are gone.
  static Sequence copy_of(const Sequence& sequence);
  void put(Sequence sequence);

  const SequenceOrder& live() const { return live_; }
  const SequenceOrder& waiting() const { return waiting_; }
  Sequence* oldest() const;  // nullptr: there are none
  std::uint64_t cells_reserved() const { return cells_reserved_; }

 private:
  const Limits& limits_;
  Numbers& numbers_;
  std::map<std::uint64_t, Sequence> table_;  // by request
  SequenceOrder live_;
  SequenceOrder waiting_;
  std::uint64_t cells_reserved_ = 0;
};

}  // namespace shoal::sched
