// How the owner of the sequences turns a step's logits into TokenSampled events: row by row, as long as the token that
// was chosen is the draft that the next row was computed for. The rows of a step that was sent ahead count only if the
// text has come to be what they were computed for.
#pragma once

#include <span>
#include <vector>

#include "sched/scheduler.h"

namespace shoal::sched {

struct ChosenToken {
  Token token = 0;
  bool ends = false;
};

// `is_newest(row)`, of the first row of a sequence that wanted logits: whether it is the row of the newest token of its
// text, in position and token; false too where the owner has given the sequence up: none of its rows counts.
// `choose(row)`, called in row order: the token from this row's logits. One event for each sequence with rows that
// count.
template <typename IsNewest, typename Choose>
std::vector<TokenSampled> sample_rows(Epoch epoch, StepId step, std::span<const Row> rows, IsNewest is_newest,
                                      Choose choose) {
  std::vector<TokenSampled> events;
  std::size_t next = 0;
  while (next < rows.size()) {
    const std::size_t first = next;
    while (next < rows.size() && rows[next].request == rows[first].request) ++next;
    TokenSampled sampled{epoch, step, rows[first].request, {}, false};
    for (std::size_t i = first; i < next && !sampled.ends; ++i) {
      if (rows[i].logits == 0) continue;
      // Computed for another token?
      if (sampled.tokens.empty() ? !is_newest(i) : sampled.tokens.back() != rows[i].token) break;
      const ChosenToken chosen = choose(i);
      sampled.tokens.push_back(chosen.token);
      sampled.ends = chosen.ends;
    }
    if (!sampled.tokens.empty()) events.push_back(std::move(sampled));
  }
  return events;
}

}  // namespace shoal::sched
