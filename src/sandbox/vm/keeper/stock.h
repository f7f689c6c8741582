// What the keeper has to give, by kind of VM, and what it should make next.
//
// Shared by the keeper's two threads: the server takes and asks, the maker waits for work and puts. All calls but `await_job`
// return at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/vm/keeper_client.h"

namespace bulkhead::sandbox::vm {

/// Work for the maker: a template where `from` is null, else a warm VM; with `request.container` where there is one.
struct Job {
  KeeperRequest request;
  std::shared_ptr<const Template> from;
};

class Stock {
 public:
  Stock(unsigned warm, std::chrono::milliseconds quiet) : warm_(warm), quiet_(quiet) {}

  /// Remembers what is asked for, and gives what there is. A template is given as copies of its descriptors.
  KeeperAnswer take(const KeeperRequest& request);
  /// As if it had been asked for, without giving anything.
  void expect(const KeeperRequest& request);
  /// Of all kinds that have this key.
  StockCount count(const std::string& key);
  /// Forgets the template of a kind of VM; warm ones of it are ended.
  void remove(const std::string& kind);

  /// Blocks until there is something to make and nobody has asked for a moment. Nothing: the keeper ends.
  std::optional<Job> await_job();
  void put(const std::string& kind, Template made);
  void put(const std::string& kind, WarmMachine made);
  /// Making for this kind failed: it is tried a few times, one with a container only once, then no more until the kind is
  /// forgotten. False where it failed because the keeper ends.
  bool note_failure(const std::string& kind);
  void stop();

  /// Collects VMs of ours that have ended, given away or not.
  void collect_ended();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr unsigned kMaxFailures = 3;

  struct Shelf {
    std::string kind;
    KeeperRequest request;
    std::shared_ptr<const Template> made;
    std::deque<WarmMachine> warm;
    unsigned failures = 0;    // to make one
    unsigned broken = 0;      // that were made
    bool wants_warm = false;  // somebody asked for one that runs

    bool is_hopeless() const { return failures >= kMaxFailures || broken >= kMaxFailures; }
  };

  Shelf& shelf_of(const KeeperRequest& request);
  Shelf* find(const std::string& kind);
  static std::optional<WarmMachine> take_warm(Shelf& shelf);
  std::optional<Job> next_warm();
  void make_room(const Shelf& newest, Shelf& plain, size_t kept);
  std::optional<Job> next_job();
  static void end(Shelf& shelf);
  static void end(const WarmMachine& warm);

  const unsigned warm_;
  const std::chrono::milliseconds quiet_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Shelf> shelves_;        // the kind that was asked for last is first
  std::vector<UniqueFd> children_;  // pidfds of every warm VM that was ever made and was not collected
  Clock::time_point last_request_ = Clock::now();
  bool stopped_ = false;
};

}  // namespace bulkhead::sandbox::vm
