// Images that are here: list, inspect, history, tag, remove, prune.
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/filters.h"
#include "api/handlers.h"
#include "api/image_events.h"
#include "api/image_view.h"
#include "api/timestamps.h"
#include "image/image_store.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using image::Image;
using nlohmann::json;

/// "debian" fits every tag of debian, "debian:1*" some; as Go's path.Match, a '*' ends at a '/'.
bool fits_reference(const std::string& pattern, const std::string& name) {
  std::string repository = name.substr(0, name.find_first_of(":@", name.rfind('/') == std::string::npos ? 0 : name.rfind('/')));
  return ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0 ||
         ::fnmatch(pattern.c_str(), repository.c_str(), FNM_PATHNAME) == 0;
}

/// fnmatch(3) takes what is no pattern for letters; Docker refuses it.
void check_patterns(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    bool escaped = false;
    bool in_class = false;
    for (char letter : pattern) {
      if (escaped) {
        escaped = false;
        continue;
      }
      escaped = letter == '\\';
      in_class = in_class ? letter != ']' : letter == '[';
    }
    if (escaped || in_class) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter 'reference={}': syntax error in pattern", pattern));
    }
  }
}

/// Leaves the image only the names that fit the filter, as Docker lists it. False where none does.
bool keep_references(Image& image, const Filters& filters) {
  const auto& patterns = filters.values("reference");
  if (patterns.empty()) {
    return true;
  }
  auto fits_none = [&](const std::string& name) {
    return std::none_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return fits_reference(pattern, name); });
  };
  std::erase_if(image.tags, fits_none);
  std::erase_if(image.digests, fits_none);
  return !image.tags.empty() || !image.digests.empty();
}

struct Bounds {
  std::optional<int64_t> before, since;  // seconds since 1970
};

Bounds look_up(image::ImageStore& images, const Filters& filters) {
  Bounds bounds;
  for (const std::string& reference : filters.values("before")) {
    bounds.before = created_seconds(images.find(reference).created);
  }
  for (const std::string& reference : filters.values("since")) {
    bounds.since = created_seconds(images.find(reference).created);
  }
  for (const std::string& text : filters.values("until")) {
    if (auto time = parse_instant(text, "until", now())) {
      bounds.before = std::chrono::floor<std::chrono::seconds>(*time).time_since_epoch().count();
    }
  }
  return bounds;
}

bool matches(const Image& image, const Filters& filters, const Bounds& bounds) {
  int64_t created = created_seconds(image.created);
  return (!bounds.before || created < *bounds.before) && (!bounds.since || created > *bounds.since) &&
         filters.matches_labels("label", image.config.labels) &&
         !(filters.has("label!") && filters.matches_labels("label!", image.config.labels)) &&
         filters.matches_prefix("id", image.id) &&
         (!filters.has("dangling") || filters.flag("dangling", false) == image.tags.empty());
}

image::ImageStore::User user_of(engine::Engine& engine, const std::string& image_id) {
  std::string container_id = engine.user_of_image(image_id);
  if (container_id.empty()) {
    return {};
  }
  try {
    return {container_id, engine.inspect(container_id).is_running()};
  } catch (const Error&) {
    return {};  // removed meanwhile
  }
}

json to_json(const std::vector<image::Removal>& removals) {
  json list = json::array();
  for (const image::Removal& removal : removals) {
    if (!removal.untagged.empty()) {
      list.push_back({{"Untagged", removal.untagged}});
    }
    if (!removal.deleted.empty()) {
      list.push_back({{"Deleted", removal.deleted}});
    }
  }
  return list;
}

}  // namespace

void images_list(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  filters.accept_only({"before", "dangling", "id", "label", "reference", "since", "until"});
  check_patterns(filters.values("reference"));
  image::ImageStore& images = request.engine.images();
  Bounds bounds = look_up(images, filters);
  json answer = json::array();
  for (Image& image : images.list()) {
    if (matches(image, filters, bounds) && keep_references(image, filters)) {
      answer.push_back(image_summary(image, request.minor));
    }
  }
  answer_json(request, 200, answer);
}

void images_inspect(Request& request) {
  answer_json(request, 200, image_details(request.engine.images().find(request.name), request.minor));
}

void images_history(Request& request) { answer_json(request, 200, image_history(request.engine.images().find(request.name))); }

void images_tag(Request& request) {
  std::string repository = request.query.get("repo");
  if (repository.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "invalid reference format: a tag needs a repository's name");
  }
  std::string tag = request.query.get("tag");
  request.engine.images().tag(request.name, repository, tag);
  publish_image_event(request.engine, "tag", request.engine.images().find(request.name).id,
                      repository + ":" + (tag.empty() ? "latest" : tag));
  answer_empty(request, 201);
}

void images_remove(Request& request) {
  using Force = image::ImageStore::Force;
  auto in_use = [&](const std::string& id) { return user_of(request.engine, id); };
  auto removals = request.engine.images().remove(request.name, request.query.flag("force") ? Force::kYes : Force::kNo, in_use);
  publish_removals(request.engine, removals);
  answer_json(request, 200, to_json(removals));
}

void images_prune(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  filters.accept_only({"dangling", "label", "label!", "until"});
  bool dangling_only = filters.flag("dangling", true);
  image::ImageStore& images = request.engine.images();
  Bounds bounds = look_up(images, filters);
  auto in_use = [&](const std::string& id) { return user_of(request.engine, id); };
  json deleted = json::array();
  int64_t reclaimed = 0;
  for (const Image& image : images.list()) {
    bool wanted = (image.tags.empty() || !dangling_only) && filters.matches_labels("label", image.config.labels) &&
                  !(filters.has("label!") && filters.matches_labels("label!", image.config.labels)) &&
                  (!bounds.before || created_seconds(image.created) < *bounds.before);
    if (!wanted || !in_use(image.id).container_id.empty()) {
      continue;
    }
    try {
      auto removals = images.remove(image.id, image::ImageStore::Force::kYes, in_use);
      publish_removals(request.engine, removals);
      for (json& line : to_json(removals)) {
        deleted.push_back(std::move(line));
      }
      reclaimed += image.size;
    } catch (const Error& error) {
      // A container of it was made meanwhile, or somebody else removed it.
      if (error.code() != ErrorCode::kConflict && error.code() != ErrorCode::kNotFound) {
        throw;
      }
    }
  }
  answer_json(request, 200, {{"ImagesDeleted", deleted}, {"SpaceReclaimed", reclaimed}});
}

}  // namespace bulkhead::api
