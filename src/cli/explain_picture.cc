#include "cli/explain_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/explain_facts.h"
#include "cli/explain_text.h"
#include "cli/json_fields.h"
#include "cli/svg.h"

namespace bulkhead::cli {
namespace {
using nlohmann::json;

constexpr int kMargin = 24;
constexpr int kGap = 16;
constexpr int kCardWidth = 280;
constexpr int kLine = 17;
constexpr int kCardHeight = 176;
constexpr int kBar = 40;
constexpr int kJailHead = 58;
constexpr int kZoneHead = 46;
constexpr int kColumns = 5;
constexpr int kLeastWidth = 700;

constexpr const char* kHostKernel = "#1d4ed8";
constexpr const char* kGuestKernel = "#7c3aed";
constexpr const char* kGood = "#15803d";
constexpr const char* kBad = "#b91c1c";
constexpr const char* kGrey = "#6b7280";
constexpr std::array kTenantColours = {"#0891b2", "#ca8a04", "#db2777", "#4d7c0f", "#ea580c", "#4338ca", "#0f766e", "#a21caf"};

class Picture {
 public:
  explicit Picture(const json& explanation) : host_(field(field(explanation, "Host"), "Kernel")) {
    for (const json& container : field(explanation, "Containers")) {
      (field(container, "Machine").is_object() ? machines_ : on_host_).push_back(&container);
      add_neighbours(container);
      if (std::string tenant = text_at(container, "Tenant"); !tenant.empty() && !is_known_tenant(tenant)) {
        tenants_.push_back(tenant);
      }
    }
    share_columns();
  }

  std::string draw() {
    int y = kMargin + 22;
    svg_.text(kMargin, y, width_ - 2 * kMargin, fmt::format("What stands between containers on {}", text_at(host_, "HostName")),
              {.size = 20, .weight = Weight::kBold});
    y += 20;
    svg_.text(kMargin, y, width_ - 2 * kMargin, "Measured just now. A box is a wall, and stands on the kernel that it runs on.",
              {.fill = kGrey});
    y += kGap;
    y += draw_zones(y);
    y = draw_host_kernel(y);
    y = draw_legend(y + kGap);
    return svg_.document(width_, y + kMargin, "bulkhead explain");
  }

 private:
  bool is_known_tenant(const std::string& tenant) const {
    return std::find(tenants_.begin(), tenants_.end(), tenant) != tenants_.end();
  }

  const char* colour_of(const std::string& tenant) const {
    auto found = std::find(tenants_.begin(), tenants_.end(), tenant);
    return found == tenants_.end() ? "#9ca3af"
                                   : kTenantColours.at(static_cast<size_t>(found - tenants_.begin()) % kTenantColours.size());
  }

  void add_neighbours(const json& container) {
    for (const json& other : field(container, "OnSameKernel")) {
      std::string name = container_name(other);
      if (std::find(neighbours_.begin(), neighbours_.end(), name) == neighbours_.end()) {
        neighbours_.push_back(name);
      }
    }
  }

  /// Both kinds side by side, each with as many columns as it has a part of the containers.
  void share_columns() {
    auto own = static_cast<int>(machines_.size());
    auto shared = static_cast<int>(on_host_.size());
    int total = own + shared;
    if (own > 0 && shared > 0) {
      machine_columns_ = std::clamp((kColumns * own + total / 2) / total, 1, kColumns - 1);
      host_columns_ = std::min(kColumns - machine_columns_, shared);
      machine_columns_ = std::min(machine_columns_, own);
    } else {
      (own > 0 ? machine_columns_ : host_columns_) = std::clamp(total, 1, kColumns);
    }
    int zones = zone_width(host_columns_) + zone_width(machine_columns_) + (own > 0 && shared > 0 ? kGap : 0);
    width_ = std::max(2 * kMargin + zones, kLeastWidth);
  }

  static int zone_width(int columns) { return columns == 0 ? 0 : columns * (kCardWidth + kGap) + kGap; }

  static int rows_of(size_t count, int columns) { return columns == 0 ? 0 : (static_cast<int>(count) + columns - 1) / columns; }

  /// Their height.
  int draw_zones(int y) {
    constexpr int kJailHeight = kGap / 2 + kCardHeight + kBar + kJailHead + kGap / 2;
    int shared_height = kZoneHead + rows_of(on_host_.size(), host_columns_) * (kCardHeight + kGap);
    int own_height = kZoneHead + rows_of(machines_.size(), machine_columns_) * (kJailHeight + kGap);
    int height = std::max(on_host_.empty() ? 0 : shared_height, machines_.empty() ? 0 : own_height);
    int x = kMargin;
    if (!on_host_.empty()) {
      Box zone{.x = x, .y = y + height - shared_height, .width = zone_width(host_columns_), .height = shared_height};
      draw_zone(zone, "process: on the host's kernel", others_text(), kHostKernel, "#eff6ff");
      for (size_t i = 0; i < on_host_.size(); ++i) {
        draw_card(place(zone, i, host_columns_, kCardHeight), *on_host_[i]);
      }
      x += zone.width + kGap;
    }
    if (!machines_.empty()) {
      Box zone{.x = x, .y = y + height - own_height, .width = zone_width(machine_columns_), .height = own_height};
      draw_zone(zone, "hyperv: a kernel each", fmt::format("{} in all", machines_.size()), kGuestKernel, "#f5f3ff");
      for (size_t i = 0; i < machines_.size(); ++i) {
        draw_machine(place(zone, i, machine_columns_, kJailHeight), *machines_[i]);
      }
    }
    return height;
  }

  static Box place(const Box& zone, size_t index, int columns, int height) {
    int row = static_cast<int>(index) / columns;
    int column = static_cast<int>(index) % columns;
    return {.x = zone.x + kGap + column * (kCardWidth + kGap),
            .y = zone.y + kZoneHead + row * (height + kGap),
            .width = kCardWidth,
            .height = height};
  }

  void draw_zone(const Box& zone, const std::string& title, const std::string& more, const char* colour, const char* fill) {
    svg_.box(zone, {.fill = fill, .stroke = colour, .radius = 3});
    int width = zone.width - 2 * kGap;
    svg_.text(zone.x + kGap, zone.y + 20, width, title, {.size = 13, .fill = colour, .weight = Weight::kBold});
    svg_.text(zone.x + kGap, zone.y + 37, width, more, {.size = 11, .fill = kGrey});
  }

  /// Those that share the kernel and are not drawn.
  std::string others_text() const {
    std::vector<std::string> others = neighbours_;
    for (const json* container : on_host_) {
      std::erase(others, container_name(*container));
    }
    return others.empty() ? fmt::format("{} in all", on_host_.size())
                          : fmt::format("{} more there: {}", others.size(), fmt::join(others, ", "));
  }

  void draw_machine(const Box& jail, const json& container) {
    const json& machine = field(container, "Machine");
    const json& qemu = first_process(machine);
    svg_.box(jail, {.fill = "#f3f4f6", .stroke = kGrey, .stroke_width = 2, .dashes = "6 4"},
             "QEMU's jail, measured by the host");
    draw_card({.x = jail.x + kGap / 2, .y = jail.y + kGap / 2, .width = jail.width - kGap, .height = kCardHeight}, container);
    Box bar{.x = jail.x + kGap / 2, .y = jail.y + kGap / 2 + kCardHeight, .width = jail.width - kGap, .height = kBar};
    svg_.box(bar, {.fill = kGuestKernel, .radius = 3});
    int inner = bar.width - kGap;
    svg_.text(bar.x + kGap / 2, bar.y + 17, inner, fmt::format("own kernel {}", text_at(field(container, "Kernel"), "Release")),
              {.fill = "#ffffff", .weight = Weight::kBold});
    svg_.text(bar.x + kGap / 2, bar.y + 33, inner,
              fmt::format("on {}; agent {}", text_at(machine, "Accelerator"), cost_of(container, "agent")),
              {.size = 11, .fill = "#ede9fe"});
    int text_y = bar.y + kBar + 16;
    size_t held = texts_at(field(qemu, "Capabilities"), "Effective").size();
    bool own_users = !flag_at(field(field(qemu, "Namespaces"), "user"), "Outer");
    svg_.text(bar.x, text_y, bar.width, fmt::format("QEMU's jail: user {}", number_at(qemu, "User")),
              {.weight = Weight::kBold});
    svg_.text(bar.x, text_y + kLine, bar.width,
              held == 0 ? "no capabilities; QEMU " + cost_of(container, "qemu")
                        : fmt::format("{} capabilities{}", held, own_users ? " over its shared files alone" : ""),
              {.size = 11, .fill = held != 0 && !own_users ? kBad : "#1f2937"});
    svg_.text(bar.x, text_y + 2 * kLine, bar.width, system_calls_brief(qemu) + " of the host", {.size = 11});
  }

  static std::string cost_of(const json& container, std::string_view name) {
    for (const json& process : field(container, "SystemProcesses")) {
      if (text_at(process, "Name") == name) {
        return bytes_text(static_cast<uint64_t>(number_at(process, "Memory")));
      }
    }
    return "";
  }

  void draw_card(const Box& card, const json& container) {
    std::vector<std::string> weaker = weaker_ones(container);
    std::string tenant = text_at(container, "Tenant");
    svg_.box(card, {.fill = "#ffffff", .stroke = weaker.empty() ? kGood : kBad, .stroke_width = weaker.empty() ? 2 : 3},
             differences_line(container));
    svg_.box({.x = card.x + 6, .y = card.y + 8, .width = 5, .height = card.height - 16},
             {.fill = colour_of(tenant), .radius = 2});
    int x = card.x + 20;
    int width = card.width - 30;
    svg_.text(x, card.y + 22, width, container_name(container), {.size = 14, .weight = Weight::kBold});
    svg_.text(x, card.y + 38, width, text_at(container, "Image") + (tenant.empty() ? "" : ", tenant " + tenant),
              {.size = 11, .fill = kGrey});
    if (std::string failure = text_at(container, "Error"); !failure.empty()) {
      svg_.text(x, card.y + 60, width, "not measured: " + failure, {.size = 11, .fill = kBad});
      return;
    }
    draw_facts(x, card.y + 46, width, container);
    draw_verdict(x, card.y + card.height - 12, width, weaker);
  }

  void draw_facts(int x, int y, int width, const json& container) {
    const json& wall = field(container, "Wall");
    const json& init = first_process(wall);
    SystemCalls calls = system_calls(init);
    svg_.box({.x = x, .y = y, .width = width, .height = 6}, {.fill = "#e5e7eb", .radius = 3});
    if (calls.known > 0) {
      auto filled = static_cast<int>(width * std::clamp<int64_t>(calls.reachable, 0, calls.known) / calls.known);
      svg_.box({.x = x, .y = y, .width = filled, .height = 6}, {.fill = "#f59e0b", .radius = 3});
    }
    std::string outer = outer_namespaces(init);
    size_t own = field(wall, "Processes").size();
    bool guest = text_at(container, "ToldBy") == "guest";
    std::vector<std::string> effective = texts_at(field(init, "Capabilities"), "Effective");
    auto lines = {
        std::pair{system_calls_brief(init), calls.known > 0 && calls.reachable == calls.known},
        {fmt::format("{} capabilities, user {}, {} process{}", effective.size(), number_at(init, "User"), own,
                     own == 1 ? "" : "es"),
         std::find(effective.begin(), effective.end(), "CAP_SYS_ADMIN") != effective.end()},
        {fmt::format("{}, {}", limit_brief(wall, "memory"), limit_brief(wall, "pids")), false},
        {fmt::format("{} path{} from outside, {} devices", count_paths(wall, "host"), count_paths(wall, "host") == 1 ? "" : "s",
                     field(wall, "Devices").size()),
         false},
        {outer.empty() ? "all its namespaces are its own"
                       : fmt::format("namespaces of the {}: {}", guest ? "guest" : "host", outer),
         !outer.empty()},
    };
    int line_y = y + 6 + kLine - 2;
    for (const auto& [text, bad] : lines) {
      svg_.text(x, line_y, width, text, {.size = 12, .fill = bad ? kBad : "#1f2937"});
      line_y += kLine;
    }
  }

  void draw_verdict(int x, int y, int width, const std::vector<std::string>& weaker) {
    if (weaker.empty()) {
      svg_.text(x, y, width, "as asked for", {.size = 11, .fill = kGood, .weight = Weight::kBold});
    } else {
      std::string what = weaker.size() == 1 ? weaker.front() : fmt::format("in {} ways", weaker.size());
      svg_.text(x, y, width, "WEAKER THAN ASKED: " + what, {.size = 11, .fill = kBad, .weight = Weight::kBold});
    }
  }

  int draw_host_kernel(int y) {
    Box kernel{.x = kMargin, .y = y, .width = width_ - 2 * kMargin, .height = kBar + 4};
    svg_.box(kernel, {.fill = kHostKernel, .radius = 3});
    svg_.text(kernel.x + kGap, y + 19, kernel.width - 2 * kGap, fmt::format("host's kernel {}", text_at(host_, "Release")),
              {.size = 14, .fill = "#ffffff", .weight = Weight::kBold});
    svg_.text(kernel.x + kGap, y + 36, kernel.width - 2 * kGap, fmt::format("boot id {}", text_at(host_, "BootId")),
              {.size = 11, .fill = "#dbeafe"});
    y += kernel.height + 2;
    Box hardware{.x = kMargin, .y = y, .width = kernel.width, .height = 26};
    svg_.box(hardware, {.fill = "#374151", .radius = 3});
    svg_.text(hardware.x + kGap, y + 18, hardware.width - 2 * kGap, fmt::format("hardware: {}", text_at(host_, "Machine")),
              {.fill = "#ffffff"});
    return y + hardware.height;
  }

  int draw_legend(int y) {
    struct Sign {
      BoxStyle style;
      std::string text;
    };
    std::vector<Sign> signs = {
        {{.fill = "#ffffff", .stroke = kGood, .stroke_width = 2, .radius = 3}, "container, as asked for"},
        {{.fill = "#ffffff", .stroke = kBad, .stroke_width = 3, .radius = 3}, "container, its wall is weaker than asked for"},
        {{.fill = kHostKernel, .radius = 3}, "the host's kernel, shared"},
        {{.fill = kGuestKernel, .radius = 3}, "a kernel of its own"},
        {{.fill = "#f3f4f6", .stroke = kGrey, .stroke_width = 2, .radius = 3, .dashes = "6 4"}, "QEMU's jail on the host"},
        {{.fill = "#f59e0b", .radius = 3}, "system calls that reach the kernel"},
    };
    for (const std::string& tenant : tenants_) {
      signs.push_back({{.fill = colour_of(tenant), .radius = 2}, "tenant " + tenant});
    }
    int x = kMargin;
    int column = (width_ - 2 * kMargin) / (width_ < 1000 ? 2 : 3);
    for (const Sign& sign : signs) {
      if (x + column > width_ - kMargin + 2) {
        x = kMargin;
        y += 22;
      }
      svg_.box({.x = x, .y = y, .width = 26, .height = 14}, sign.style);
      svg_.text(x + 34, y + 12, column - 40, sign.text, {.size = 11});
      x += column;
    }
    return y + 22;
  }

  const json& host_;
  std::vector<const json*> on_host_, machines_;
  std::vector<std::string> tenants_, neighbours_;
  int host_columns_ = 0, machine_columns_ = 0, width_ = 0;
  Svg svg_;
};

}  // namespace

std::string explanation_picture(const json& explanation) { return Picture(explanation).draw(); }

}  // namespace bulkhead::cli
