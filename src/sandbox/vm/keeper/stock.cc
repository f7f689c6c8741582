#include "sandbox/vm/keeper/stock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "linux/pidfd.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

constexpr size_t kMaxKinds = 4;  // each template holds some tens of megabytes
constexpr unsigned kMaxFailures = 3;

UniqueFd duplicate(const UniqueFd& file) {
  UniqueFd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) {
    throw system_error("duplicate a descriptor");
  }
  return copy;
}

bool has_ended(const UniqueFd& pidfd) {
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, 0) == 1;
}

}  // namespace

Stock::Shelf* Stock::find(const std::string& key) {
  auto found = std::find_if(shelves_.begin(), shelves_.end(), [&](const Shelf& shelf) { return shelf.request.key == key; });
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
  auto found =
      std::find_if(shelves_.begin(), shelves_.end(), [&](const Shelf& shelf) { return shelf.request.key == request.key; });
  if (found != shelves_.end()) {
    shelves_.splice(shelves_.begin(), shelves_, found);
    return shelves_.front();
  }
  if (shelves_.size() == kMaxKinds) {
    end(shelves_.back());
    shelves_.pop_back();
  }
  shelves_.push_front({.request = request, .made = {}, .warm = {}});
  return shelves_.front();
}

/// One that is prepared for the image, else one that has seen none.
std::optional<WarmMachine> Stock::take_warm(Shelf& shelf, const std::string& image) {
  std::erase_if(shelf.warm, [](const WarmMachine& warm) { return has_ended(warm.pidfd); });
  auto found = shelf.warm.end();
  for (const std::string& wanted : {image, std::string()}) {
    // SECURITY: a guest in which a program of one image has run is never given to a container of another.
    found = found != shelf.warm.end() ? found
                                      : std::find_if(shelf.warm.begin(), shelf.warm.end(),
                                                     [&](const WarmMachine& warm) { return warm.image == wanted; });
  }
  if (found == shelf.warm.end()) {
    return std::nullopt;
  }
  WarmMachine warm = std::move(*found);
  shelf.warm.erase(found);
  return warm;
}

KeeperAnswer Stock::take(const KeeperRequest& request) {
  std::lock_guard lock(mutex_);
  last_request_ = Clock::now();
  changed_.notify_all();
  Shelf& shelf = shelf_of(request);
  if (request.wanted == Wanted::kWarm) {
    shelf.request.image = request.image;
    if (auto warm = take_warm(shelf, request.image.identity)) {
      return std::move(*warm);
    }
  }
  if (shelf.made) {
    return Template{.memory = duplicate(shelf.made->memory), .devices = duplicate(shelf.made->devices)};
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
  const Shelf* shelf = find(key);
  return shelf == nullptr ? StockCount()
                          : StockCount{.templates = shelf->made ? 1U : 0U, .warm = static_cast<unsigned>(shelf->warm.size())};
}

void Stock::remove(const std::string& key) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(key)) {
    end(*shelf);
    shelf->made.reset();
    ++shelf->failures;
  }
}

/// Templates for every kind that was asked for, then warm VMs of the newest.
std::optional<Job> Stock::next_job() {
  auto wanting = std::find_if(shelves_.begin(), shelves_.end(),
                              [](const Shelf& shelf) { return !shelf.made && shelf.failures < kMaxFailures; });
  if (wanting != shelves_.end()) {
    return Job{.request = wanting->request, .from = {}};
  }
  if (!shelves_.empty()) {
    Shelf& newest = shelves_.front();
    std::erase_if(newest.warm, [](const WarmMachine& warm) { return has_ended(warm.pidfd); });
    if (newest.made && newest.failures < kMaxFailures) {
      return next_warm(newest);
    }
  }
  return std::nullopt;
}

/// Half of those that wait, or one more, are for the image that was asked for last; the others have seen no image.
std::optional<Job> Stock::next_warm(Shelf& shelf) {
  const std::string& image = shelf.request.image.identity;
  const auto count = [&](const std::string& wanted) {
    return static_cast<unsigned>(
        std::count_if(shelf.warm.begin(), shelf.warm.end(), [&](const WarmMachine& warm) { return warm.image == wanted; }));
  };
  unsigned prepared = image.empty() ? 0 : (warm_ + 1) / 2;
  Job job{.request = shelf.request, .from = shelf.made};
  if (!image.empty() && count(image) < prepared) {
    if (shelf.warm.size() >= warm_) {
      make_room(shelf);
    }
    return job;
  }
  if (count("") < warm_ - prepared && shelf.warm.size() < warm_) {
    job.request.image = {};
    return job;
  }
  return std::nullopt;
}

/// One goes that isn't prepared for the image that was asked for last.
void Stock::make_room(Shelf& shelf) {
  auto found = std::find_if(shelf.warm.begin(), shelf.warm.end(),
                            [&](const WarmMachine& warm) { return warm.image != shelf.request.image.identity; });
  if (found != shelf.warm.end()) {
    end(*found);
    shelf.warm.erase(found);
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

void Stock::put(const std::string& key, Template made) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(key)) {
    shelf->made = std::make_shared<const Template>(std::move(made));
  }
}

void Stock::put(const std::string& key, WarmMachine made) {
  std::lock_guard lock(mutex_);
  children_.push_back(duplicate(made.pidfd));
  if (Shelf* shelf = find(key)) {
    shelf->warm.push_back(std::move(made));
    shelf->failures = 0;
    return;
  }
  linux::send_signal(made.pidfd.get(), SIGKILL);  // this kind was forgotten meanwhile
}

bool Stock::note_failure(const std::string& key) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(key)) {
    ++shelf->failures;
  }
  return !stopped_;
}

bool Stock::forget_image(const std::string& key, const std::string& identity) {
  std::lock_guard lock(mutex_);
  if (Shelf* shelf = find(key); shelf != nullptr && shelf->request.image.identity == identity) {
    shelf->request.image = {};
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
