// What a guest says about itself, cut to sizes that the host can hold and show. Pure.
#pragma once

#include <cstddef>

namespace bulkhead::facts {

class Wall;

/// Leaves out what makes the message longer than `bytes`, and says so: filters first, then what there is much of.
void fit(Wall& wall, size_t bytes);

/// SECURITY: nothing of `wall` is checked for truth: it can't be. Lists and texts are cut, and what only the host may say
/// (an inside of the inside, the roles of the host's own processes, how it is accelerated) is taken out.
void bound(Wall& wall);

}  // namespace bulkhead::facts
