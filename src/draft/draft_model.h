// The draft model of `shoal serve --draft-model`: a drafter (drafter.h) on a thread of its own.
//
// What is told and forgotten is carried out in order; a question is answered before texts are read on, so that a long
// prompt of one sequence holds up the others' drafts by at most one chunk. The thread sleeps when there is nothing to
// read. At most kJobsMax wait: of more, texts are not told and so not guessed for, and those to be forgotten stay until
// others need their place. Destruction waits for the chunk that is being computed (or abandons the load).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "coordinator/draft_source.h"
#include "draft/drafter.h"

namespace shoal::draft {

inline constexpr std::size_t kJobsMax = 1024;

class DraftModel final : public coordinator::DraftSource {
 public:
  // Loads the model and returns when it can be asked; `vocabulary`, of the model it guesses for, must outlive it.
  // kInvalidArgument: its vocabulary is not the model's; else the errors of Vocabulary::load and Stage::load.
  static Result<std::unique_ptr<DraftModel>> open(boost::asio::io_context& io, const std::filesystem::path& gguf,
                                                  const model::Vocabulary& vocabulary, DrafterOptions options);
  ~DraftModel() override;

  std::string name() const override { return name_; }
  void ask(sched::AskDrafts texts, std::function<void(sched::Drafted)> answer) override;
  void forget(std::uint64_t request) override;

  StageMemory memory() const { return memory_; }

 private:
  struct Job {
    sched::AskDrafts texts;
    std::function<void(sched::Drafted)> answer;
    std::uint64_t forget = 0;  // 0: nothing
  };

  DraftModel(boost::asio::io_context& io, std::string name) : io_(io), name_(std::move(name)) {}
  Status start(const std::filesystem::path& gguf, const model::Vocabulary& vocabulary, DrafterOptions options);
  void run(Drafter& drafter);
  void carry_out(Drafter& drafter, Job job);
  void push(Job job);

  boost::asio::io_context& io_;
  const std::string name_;
  StageMemory memory_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // io thread only

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace shoal::draft
