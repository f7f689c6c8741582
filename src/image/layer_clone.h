// A second layer with the same content as one that is there: files are hard links, as nobody writes to a layer. For archives in
// which one layer stands at two places (empty layers do). Blocks on the disk.
#pragma once

namespace bulkhead::image {

/// Fills the empty folder `target` with what is in `source`. Throws naming what failed.
void clone_layer(int source, int target);

}  // namespace bulkhead::image
