// For the tests of this folder: a small model's shard with its layout, and peers with keys of their own on loopback.
#pragma once

#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/file.h"
#include "model/shard_store.h"
#include "model/test_models.h"
#include "net/piece_server.h"
#include "net/test_loop.h"
#include "net/transport.h"

namespace shoal::node::test {

using net::test::run_until;
using net::test::Ticks;

// A whole small model as the one shard 0:layers of itself, on disk.
struct TestShard {
  // `vocabulary`: a file among those that llama.cpp brings, for a narrower model; empty: the smallest.
  explicit TestShard(const std::string& vocabulary = {}) {
    auto options = model::small_model("llama");
    options.layers = 2;
    if (!vocabulary.empty()) {
      options.vocabulary = std::string(SHOAL_VOCABULARY_DIR) + "/" + vocabulary;
      options.embedding = 64;
      options.heads = options.kv_heads = 2;
    }
    const auto file = model::write_model(options, folder / "model.gguf").at(0);
    manifest = model::manifest_of(file);
    auto hashes = model::hash_tensors(manifest);
    auto cut = model::plan_cut(manifest, {0, manifest.layer_count});
    EXPECT_TRUE(hashes.ok() && cut.ok());
    layout = model::make_layout(manifest, *cut, *hashes);
    EXPECT_TRUE(model::write_shard(manifest, *cut, path).ok());
    bytes = read_file(path, 1u << 30).value();
  }
  // What a peer that has the whole shard answers.
  Result<Bytes> read_piece(const Digest& sha256, std::uint64_t offset, std::uint32_t length) const {
    for (const auto& piece : layout.pieces) {
      if (piece.sha256 != sha256 || offset >= piece.size_bytes) continue;
      auto from = bytes.begin() + static_cast<std::ptrdiff_t>(piece.offset + offset);
      return Bytes(from,
                   from + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(length, piece.size_bytes - offset)));
    }
    return Error{ErrorCode::kNotFound, "no such piece"};
  }

  model::TemporaryFolder folder;
  std::filesystem::path path = folder / "shard.gguf";
  model::Manifest manifest;
  model::ShardLayout layout;
  std::string bytes;
};

// Another device: its key and its port. `on_link` gets every link that anybody opens to it.
class Peer {
 public:
  Peer(boost::asio::io_context& io, net::Transport::OnLink on_link) : transport_(io, net::Identity::generate()) {
    auto listener = transport_.listen(
        {"127.0.0.1", 0}, [this](const NodeId&) { return knows_callers; }, std::move(on_link));
    EXPECT_TRUE(listener.ok());
    listener_ = std::move(*listener);
  }
  const NodeId& id() const { return transport_.identity().id(); }
  net::Endpoint endpoint() const { return listener_->endpoint(); }

  bool knows_callers = true;

 private:
  net::Transport transport_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace shoal::node::test
