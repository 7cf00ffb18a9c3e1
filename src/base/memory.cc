#include "base/memory.h"

#include <cstdlib>  // tells by __GLIBC__ which library it is

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace shoal {

void release_freed_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace shoal
