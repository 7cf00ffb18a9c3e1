// Serving pieces of shards: the answering side of a fetch link. A node serves from its shard store, the coordinator
// from the model file; both give this a way to read.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/link.h"

namespace shoal::net {

// Bytes [offset, offset + length) of the piece, fewer at its end; kNotFound when the piece is not here. Called on the
// io_context's thread with length in 1 .. wire::kPieceChunkBytesMax.
using ReadPiece = std::function<Result<Bytes>(const Digest& sha256, std::uint64_t offset, std::uint32_t length)>;

// Starts the link and answers its FetchPiece frames until it closes. Anything else closes it. `done` is called once
// then.
void serve_pieces(std::shared_ptr<Link> link, ReadPiece read, std::function<void()> done = {});

}  // namespace shoal::net
