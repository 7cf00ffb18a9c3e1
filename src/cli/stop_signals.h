// Ends an io_context on SIGINT, SIGTERM and, when asked for, on the end of standard input.
#pragma once

#include <functional>

#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>

namespace shoal::cli {

class StopSignals {
 public:
  // `on_stop` is called once, on the io thread.
  StopSignals(boost::asio::io_context& io, bool watch_stdin, std::function<void()> on_stop)
      : signals_(io, SIGINT, SIGTERM), stdin_(io), on_stop_(std::move(on_stop)) {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (!error) stop();
    });
    if (!watch_stdin) return;
    stdin_.assign(::dup(STDIN_FILENO));
    read_stdin();
  }

 private:
  void stop() {
    if (auto callback = std::exchange(on_stop_, nullptr)) callback();
  }
  void read_stdin() {
    stdin_.async_read_some(boost::asio::buffer(ignored_), [this](boost::system::error_code error, std::size_t) {
      if (error == boost::asio::error::operation_aborted) return;
      error ? stop() : read_stdin();
    });
  }

  boost::asio::signal_set signals_;
  boost::asio::posix::stream_descriptor stdin_;
  std::array<char, 256> ignored_{};
  std::function<void()> on_stop_;
};

}  // namespace shoal::cli
