#include "sandbox/vm/keeper/stock.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "linux/pidfd.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

constexpr size_t kMaxKinds = 4;  // each template holds some tens of megabytes

KeeperRequest without_container(KeeperRequest request) {
  request.image = {};
  request.container.clear();
  return request;
}

bool has_ended(const UniqueFd& pidfd) {
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, 0) == 1;
}

}  // namespace

Stock::Shelf* Stock::find(const std::string& kind) {
  auto found = std::find_if(shelves_.begin(), shelves_.end(), [&](const Shelf& shelf) { return shelf.kind == kind; });
  return found == shelves_.end() ? nullptr : &*found;
}

void Stock::end(const WarmMachine& warm) {
  try {
    linux::send_signal(warm.pidfd.get(), SIGKILL);
  } catch (const Error&) {  // it has ended by itself
  }
}

void Stock::end(Shelf& shelf) {
  for (const WarmMachine& warm : shelf.warm) {
    end(warm);
  }
  shelf.warm.clear();
}

/// The shelf, moved to the front. The one that nobody asked for longest goes where there are too many.
Stock::Shelf& Stock::shelf_of(const KeeperRequest& request) {
  std::string kind = request.kind();
  auto found = std::find_if(shelves_.begin(), shelves_.end(), [&](const Shelf& shelf) { return shelf.kind == kind; });
  if (found != shelves_.end()) {
    shelves_.splice(shelves_.begin(), shelves_, found);
  } else {
    if (shelves_.size() == kMaxKinds) {
      end(shelves_.back());
      shelves_.pop_back();
    }
    shelves_.push_front({.kind = std::move(kind), .request = request, .made = {}, .warm = {}});
  }
  shelves_.front().wants_warm |= request.wanted == Wanted::kWarm;
  return shelves_.front();
}

std::optional<WarmMachine> Stock::take_warm(Shelf& shelf) {
  std::erase_if(shelf.warm, [](const WarmMachine& warm) { return has_ended(warm.pidfd); });
  if (shelf.warm.empty()) {
    return std::nullopt;
  }
  WarmMachine warm = std::move(shelf.warm.front());
  shelf.warm.pop_front();
  return warm;
}

KeeperAnswer Stock::take(const KeeperRequest& request) {
  std::lock_guard lock(mutex_);
  last_request_ = Clock::now();
  changed_.notify_all();
  // SECURITY: a guest in which a program of one image has run, or a container was created, is given to a container of that kind
  // alone; any other gets one that has seen neither.
  std::vector<Shelf*> shelves{&shelf_of(without_container(request))};
  if (!request.container.empty()) {
    shelves.insert(shelves.begin(), &shelf_of(request));
  }
  for (Shelf* shelf : shelves) {
    if (auto warm = request.wanted == Wanted::kWarm ? take_warm(*shelf) : std::nullopt) {
      return std::move(*warm);
    }
  }
  for (Shelf* shelf : shelves) {
    if (shelf->made) {
      return Template{.memory = duplicate(shelf->made->memory.get()),
                      .devices = duplicate(shelf->made->devices.get()),
                      .scratch = shelf->made->scratch ? duplicate(shelf->made->scratch.get()) : UniqueFd()};
    }
  }
  return std::monostate();
}

void Stock::expect(const KeeperRequest& request) {
  std::lock_guard lock(mutex_);
  shelf_of(request);
  changed_.notify_all();
}

StockCount Stock::count(const std::string& key) {
  std::lock_guard lock(mutex_);
  StockCount count;
  for (const Shelf& shelf : shelves_) {
    if (shelf.request.key == key) {
      count.templates += shelf.made ? 1 : 0;
      count.warm += static_cast<unsigned>(shelf.warm.size());
    }
  }
  return count;
}

void Stock::remove(const std::string& kind) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(kind)) {
    end(*shelf);
    shelf->made.reset();
    ++shelf->broken;
  }
}

/// Templates for every kind that was asked for, those without a container first, then warm VMs of the newest.
std::optional<Job> Stock::next_job() {
  for (bool with_container : {false, true}) {
    for (const Shelf& shelf : shelves_) {
      if (!shelf.made && !shelf.is_hopeless() && shelf.request.container.empty() != with_container) {
        return Job{.request = shelf.request, .from = {}};
      }
    }
  }
  return shelves_.empty() ? std::nullopt : next_warm();
}

/// None where clones are enough (configuration: "start"). Half of those that wait, or one more, are for the kind that was asked
/// for last, where that has a container; the others have none.
std::optional<Job> Stock::next_warm() {
  Shelf& newest = shelves_.front();
  Shelf* plain = find(newest.request.key);
  if (!newest.wants_warm || plain == nullptr || !plain->made || plain->is_hopeless()) {
    return std::nullopt;
  }
  for (Shelf& shelf : shelves_) {
    std::erase_if(shelf.warm, [](const WarmMachine& warm) { return has_ended(warm.pidfd); });
  }
  unsigned prepared = &newest == plain || newest.is_hopeless() ? 0 : (warm_ + 1) / 2;
  if (newest.warm.size() < prepared && &newest != plain) {
    make_room(newest, *plain, warm_ - prepared);
    return Job{.request = newest.request, .from = plain->made};
  }
  if (plain->warm.size() < warm_ - prepared) {
    return Job{.request = plain->request, .from = plain->made};
  }
  return std::nullopt;
}

/// Those that wait for a container of another kind go, and of those without one all but `kept`.
void Stock::make_room(const Shelf& newest, Shelf& plain, size_t kept) {
  for (Shelf& shelf : shelves_) {
    if (&shelf != &newest && &shelf != &plain && shelf.request.key == newest.request.key) {
      end(shelf);
    }
  }
  for (; plain.warm.size() > kept; plain.warm.pop_back()) {
    end(plain.warm.back());
  }
}

std::optional<Job> Stock::await_job() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    auto quiet_from = last_request_ + quiet_;
    if (Clock::now() < quiet_from) {
      changed_.wait_until(lock, quiet_from);
    } else if (auto job = next_job()) {
      return job;
    } else {
      changed_.wait(lock);
    }
  }
  return std::nullopt;
}

void Stock::put(const std::string& kind, Template made) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(kind)) {
    shelf->made = std::make_shared<const Template>(std::move(made));
  }
}

void Stock::put(const std::string& kind, WarmMachine made) {
  std::lock_guard lock(mutex_);
  children_.push_back(duplicate(made.pidfd.get()));
  if (Shelf* shelf = find(kind)) {
    shelf->warm.push_back(std::move(made));
    shelf->failures = 0;
    return;
  }
  linux::send_signal(made.pidfd.get(), SIGKILL);  // this kind was forgotten meanwhile
}

bool Stock::note_failure(const std::string& kind) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(kind)) {
    // What fails for one container's sake mostly does so again.
    shelf->failures = shelf->request.container.empty() ? shelf->failures + 1 : kMaxFailures;
  }
  return !stopped_;
}

void Stock::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void Stock::collect_ended() {
  std::lock_guard lock(mutex_);
  size_t before = children_.size();
  std::erase_if(children_, [](const UniqueFd& pidfd) { return linux::try_wait_child(pidfd.get()).has_value(); });
  if (children_.size() != before) {
    changed_.notify_all();  // one that waited may have ended
  }
}

}  // namespace bulkhead::sandbox::vm
