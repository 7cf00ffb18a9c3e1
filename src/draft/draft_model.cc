#include "draft/draft_model.h"

#include <algorithm>
#include <chrono>
#include <future>

#include <boost/asio/post.hpp>

#include "model/manifest.h"

namespace shoal::draft {

Result<std::unique_ptr<DraftModel>> DraftModel::open(boost::asio::io_context& io, const std::filesystem::path& gguf,
                                                     const model::Vocabulary& vocabulary, DrafterOptions options) {
  SHOAL_ASSIGN_OR_RETURN(auto manifest, model::read_manifest(gguf));
  SHOAL_ASSIGN_OR_RETURN(auto own, model::Vocabulary::load(gguf));
  SHOAL_RETURN_IF_ERROR(check_vocabularies(vocabulary, *own));
  if (manifest.context_length > 0) {
    options.settings.context_tokens_max = std::min(options.settings.context_tokens_max, manifest.context_length);
  }
  options.settings.exact = ExactMode::kOff;  // a draft is checked anyway
  std::unique_ptr<DraftModel> model(new DraftModel(io, manifest.name));
  SHOAL_RETURN_IF_ERROR(model->start(gguf, vocabulary, std::move(options)));
  return model;
}

Status DraftModel::start(const std::filesystem::path& gguf, const model::Vocabulary& vocabulary,
                         DrafterOptions options) {
  options.progress = [this](float) { return !stopping_.load(std::memory_order_relaxed); };
  auto loaded = std::make_shared<std::promise<Status>>();
  auto result = loaded->get_future();
  thread_ = std::thread([this, gguf, loaded, &vocabulary, options = std::move(options)] {
    auto drafter = Drafter::load(gguf, vocabulary, options);
    if (!drafter.ok()) return loaded->set_value(drafter.error());
    memory_ = (*drafter)->memory();
    loaded->set_value({});
    run(**drafter);
  });
  return result.get();
}

DraftModel::~DraftModel() {
  *alive_ = false;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DraftModel::ask(sched::AskDrafts texts, std::function<void(sched::Drafted)> answer) {
  push({std::move(texts), std::move(answer), 0});
}

void DraftModel::forget(std::uint64_t request) {
  push({{}, {}, request});
}

void DraftModel::push(Job job) {
  {
    std::lock_guard lock(mutex_);
    const bool is_question = job.texts.ask != 0;  // one at a time, and owed an answer
    if (jobs_.size() >= kJobsMax && !is_question) return;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void DraftModel::run(Drafter& drafter) {
  bool reads = false;  // there is text left to read
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stopping_ || reads || !jobs_.empty(); });
    if (stopping_) return;
    if (jobs_.empty()) {
      lock.unlock();
      reads = drafter.catch_up();
      continue;
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    carry_out(drafter, std::move(job));
    reads = true;
  }
}

void DraftModel::carry_out(Drafter& drafter, Job job) {
  if (job.forget != 0) drafter.forget(job.forget);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Wish> wishes;
  for (const auto& text : job.texts.texts) {
    drafter.tell(text.request, text.from, text.tokens);
    wishes.push_back({text.request, text.count});
  }
  if (job.texts.ask == 0) return;
  sched::Drafted drafted{job.texts.ask, {}, {}};
  auto drafts = drafter.draft(wishes);
  for (std::size_t i = 0; i < wishes.size(); ++i) drafted.texts.push_back({wishes[i].text, std::move(drafts[i])});
  drafted.took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start);
  boost::asio::post(io_, [alive = alive_, answer = std::move(job.answer), drafted = std::move(drafted)]() mutable {
    if (*alive) answer(std::move(drafted));
  });
}

}  // namespace shoal::draft
