// What is common to all lanes that Checker looks at (checker.h): the requests and their right answers, the numbers that
// are counted once, and what was found to be wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/scheduler.h"
#include "sim/fake_stage.h"

namespace shoal::sim {

struct Book {
  struct Request {
    std::vector<Token> prompt;
    std::uint32_t tokens_max = 0;  // as clipped
    bool valid = true;
    Answer expected;
    std::size_t emitted = 0;
    bool ended = false;
    bool cancelled = false;
    Time arrived;
    std::uint32_t blamed = 0;           // failed steps since its last token
    std::size_t told = 0;               // of its text, to a draft model
    std::string family;                 // of kernels, that its tokens are from; "": it has none
    std::optional<std::uint32_t> lane;  // that has it; nullopt: no lane has sent anything of it yet

    std::size_t known() const { return prompt.size() + emitted; }
    std::size_t cells() const { return prompt.size() + tokens_max; }
    // -1 where the right answer has no token any more: a wrong one went on.
    Token token_at(std::size_t position) const;
  };

  // nullptr: there is none, or it has ended.
  Request* open(std::uint64_t request);
  const Request* open(std::uint64_t request) const;
  void violation(std::string what);

  const std::uint32_t layers;
  const sched::Limits limits;
  std::map<std::uint64_t, Request> requests;
  std::set<SequenceId> used;  // in any epoch of any lane
  StepId last_step;
  Time now;
  std::vector<std::string> violations;
};

}  // namespace shoal::sim
