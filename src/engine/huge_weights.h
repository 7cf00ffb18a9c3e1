// Mapped weights, moved into huge pages where they lie.
//
// Weights that are used as they stand in the file (K-quants with exact kernels, Q8_0, F16 ...) are mapped from it, in
// pages of 4 KiB, and pay for them as huge_pages.cc says. So after loading, what a step reads in whole is copied into
// anonymous huge pages at the same address, a chunk at a time: llama.cpp's tensors and its munmap at the end need not
// know. Never twice in memory: the file's pages leave the process with the chunk, and the page cache may drop them.
// Rows that are looked up one at a time, and holes (model/cut.h), stay mapped and cost what is touched.
#pragma once

#include <cstdint>

struct llama_model;

namespace shoal::engine {

// For a model loaded with LLAMA_LOAD_MODE_MMAP, by the thread that loaded it, before any step. Returns the bytes that
// were moved: 0 where the system gives no huge pages to those who ask. What cannot be moved (no memory) stays mapped.
std::uint64_t move_weights_to_huge_pages(const llama_model* model, bool is_last);

}  // namespace shoal::engine
