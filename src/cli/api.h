// The CLI's way to the engine: finds it (and starts it where nothing listens), agrees on the API version, sends requests and
// turns its errors into `Error`. One instance per process; blocking; not thread-safe.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "cli/tls_options.h"
#include "http/client.h"

namespace bulkhead::cli {

/// The global options.
struct Place {
  std::string host;            // --host; "": BULKHEAD_HOST, else the socket in the run root
  std::string root, run_root;  // --root and --run-root, for a daemon that is started here
  TlsOptions tls;
};

class Api {
 public:
  /// Connects to nothing yet. Throws kInvalidArgument where the address is none, or a file of --tlsverify can't be used.
  explicit Api(Place place);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  const http::Address& address() const { return address_; }
  /// The minor number of the agreed version: 41 of "1.41".
  int minor_version();

  /// Sends, reads the whole answer, parses it (null where it is empty). `path` begins with '/' and has no version; ids and
  /// names in it must be encoded (`escaped`). Throws where the engine answers with an error.
  nlohmann::json get(std::string_view path, const http::Query& query = {});
  nlohmann::json post(std::string_view path, const http::Query& query, const nlohmann::json& body);
  nlohmann::json remove(std::string_view path, const http::Query& query = {});
  /// POST whose answer says nothing more.
  void command(std::string_view path, const http::Query& query = {});

  /// Sends, reads the head: the body is the caller's to read.
  http::Connection open(std::string method, std::string_view path, const http::Query& query, std::string_view body = "");
  /// POST with the body from `next` (an empty piece ends it), as an archive.
  http::Connection upload(std::string_view path, const http::Query& query, const std::function<std::string()>& next);
  /// POST that turns the connection into a raw stream.
  http::Upgraded upgrade(std::string_view path, const http::Query& query, std::string_view body = "");

 private:
  http::Connection connect();
  http::Connection first_connection();
  http::RequestHead head(std::string method, std::string_view path, const http::Query& query);
  std::string call(std::string method, std::string_view path, const http::Query& query, std::string_view body);

  Place place_;
  http::Address address_;
  int minor_version_ = 0;
  std::optional<http::Connection> idle_;
};

/// A name or id as one segment of a path.
std::string escaped(std::string_view name);

}  // namespace bulkhead::cli
