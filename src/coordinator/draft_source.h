// A small model beside the coordinator that guesses how texts continue (sched::AskDrafts). Its own thread computes; all
// calls and answers are on the io_context's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sched/scheduler.h"

namespace shoal::coordinator {

class DraftSource {
 public:
  virtual ~DraftSource() = default;

  virtual std::string name() const = 0;
  // Texts to be read; `answer` is called once when they carry a number (AskDrafts::ask), unless the source is gone by
  // then. At most one such question is open.
  virtual void ask(sched::AskDrafts texts, std::function<void(sched::Drafted)> answer) = 0;
  virtual void forget(std::uint64_t request) = 0;  // its text will not be asked about again
};

}  // namespace shoal::coordinator
