// One piece of work on a thread of its own, for what would hold up the io thread: hashing and copying gigabytes
// outlasts the silence that closes a link.
//
// `work` runs on the thread and asks stopping() at least every few MiB; `done` gets what it returned, once, on the io
// thread, and may destroy the task. Destruction tells the work to stop and waits for it; nothing is called back then.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace shoal::node {

template <typename T>
class BackgroundTask {
 public:
  BackgroundTask(boost::asio::io_context& io, std::function<T(BackgroundTask&)> work, std::function<void(T)> done)
      : io_(io), done_(std::move(done)), thread_([this, work = std::move(work)] {
          result_ = work(*this);
          post([this] { finish(); });
        }) {}
  ~BackgroundTask() {
    *alive_ = false;
    stopping_ = true;
    thread_.join();
  }
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // From the work: runs on the io thread, unless the task is gone by then.
  template <typename Callback>
  void post(Callback callback) {
    boost::asio::post(io_, [alive = alive_, callback = std::move(callback)] {
      if (*alive) callback();
    });
  }

 private:
  void finish() {
    auto done = std::move(done_);
    T result = std::move(*result_);
    done(std::move(result));
  }

  boost::asio::io_context& io_;
  std::function<void(T)> done_;
  std::optional<T> result_;                                     // the thread's until it posts finish()
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // io thread only
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace shoal::node
