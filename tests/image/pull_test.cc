// Pulls from registries that break, hang and lie: each ends in a clear error, and nothing half is left.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "fake_registry.h"
#include "oci/digest.h"
#include "store_fixture.h"
#include "support/files.h"

namespace bulkhead::test {
namespace {

using archive::ArchiveBuilder;

bool is_blob(const FakeRequest& request) { return request.path.find("/blobs/") != std::string::npos; }
bool is_manifest(const FakeRequest& request) { return request.path.find("/manifests/") != std::string::npos; }

class PullTest : public StoreFixture {
 protected:
  PullTest() {
    big_ = layer_of("big", std::string(3'000'000, 'x'));
    big_digest_ = oci::Hasher::of(big_).text();
    repository_.add_image("1", {layer_of("a", "1"), big_});
  }
  FakeServer::Handler honest() {
    return [this](const FakeRequest& request, FakeConnection& connection) { repository_.answer(request, connection); };
  }
  bool is_big(const FakeRequest& request) const { return request.path.ends_with(big_digest_); }

  FakeRepository repository_;
  std::string big_, big_digest_;
};

TEST_F(PullTest, GoodImage) {
  FakeServer server(honest());
  image::Image image = pull(server.host() + "/app:1");
  EXPECT_EQ(image.tags, std::vector<std::string>{server.host() + "/app:1"});
  EXPECT_EQ(image.config.cmd, std::vector<std::string>{"sh"});
  EXPECT_EQ(image.chain_ids.size(), 2U);
  EXPECT_EQ(image.size, 3'000'001);
  EXPECT_EQ(read_file(layers_->folder(image.chain_ids[0]) / "a"), "1");
  EXPECT_TRUE(reported("1|Pulling from app"));
  EXPECT_TRUE(reported(oci::Digest::parse(big_digest_).short_id() + "|Pull complete"));
  EXPECT_TRUE(reported("|Status: Downloaded newer image for " + server.host() + "/app:1"));
  size_t before = server.requests().size();
  pull(server.host() + "/app:1");
  EXPECT_TRUE(reported("|Status: Image is up to date for " + server.host() + "/app:1"));
  EXPECT_EQ(server.requests().size() - before, 2U);  // the ping and the manifest
  reopen();
  EXPECT_EQ(images_->find(server.host() + "/app:1").id, image.id);
  EXPECT_EQ(images_->find(image.id.substr(7, 6)).id, image.id);
  EXPECT_EQ(images_->find(image.digests.at(0)).id, image.id);
}

TEST_F(PullTest, ByDigest) {
  std::string digest = repository_.add_image("2", {layer_of("b", "2")});
  FakeServer server(honest());
  image::Image image = pull(server.host() + "/app@" + digest);
  EXPECT_TRUE(image.tags.empty());
  EXPECT_EQ(image.digests, std::vector<std::string>{server.host() + "/app@" + digest});
}

TEST_F(PullTest, ResumesBrokenConnections) {
  for (bool ranges : {true, false}) {
    std::atomic<int> tries = 0;
    FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
      if (!is_big(request) || tries == 3) {
        FakeRequest given = request;
        if (!ranges) {
          given.headers.erase("range");  // starts over each time
        }
        repository_.answer(given, connection);
        return;
      }
      ++tries;
      size_t start = 0;
      std::string head = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", big_.size());
      if (ranges && !request.header("range").empty()) {
        start = static_cast<size_t>(std::stoul(request.header("range").substr(6)));
        head = fmt::format("HTTP/1.1 206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                           big_.size() - start, start, big_.size() - 1, big_.size());
      }
      connection.send(head + big_.substr(start, 500'000 * static_cast<size_t>(tries)));
      connection.close();
    });
    image::Image image = pull(server.host() + "/app:1");
    EXPECT_EQ(tries, 3);
    EXPECT_EQ(image.size, 3'000'001);
    images_->remove(image.id, image::ImageStore::Force::kYes, {});
    expect_nothing_left();
  }
}

TEST_F(PullTest, GivesUpOnOneThatAlwaysBreaks) {
  std::atomic<int> tries = 0;
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (!is_big(request)) {
      repository_.answer(request, connection);
      return;
    }
    ++tries;
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nxx", big_.size()));
    connection.close();
  });
  EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kUnavailable);
  EXPECT_EQ(tries, 6);
  expect_nothing_left();
}

TEST_F(PullTest, LiesAboutABlob) {
  using Answer = std::function<std::string(const FakeRequest&)>;
  std::string other = big_;
  other[1000] = 'y';
  auto whole = [](std::string_view bytes, std::string_view length = "") {
    return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
                       length.empty() ? std::to_string(bytes.size()) : length, bytes);
  };
  const std::pair<const char*, Answer> lies[] = {
      {"other bytes", [&](const FakeRequest&) { return whole(other); }},
      {"a longer length", [&](const FakeRequest&) { return whole(big_, "99999999999"); }},
      {"more bytes without a length", [&](const FakeRequest&) { return "HTTP/1.1 200 OK\r\n\r\n" + big_ + "x"; }},
      {"a part of another place",
       [&](const FakeRequest&) {
         return fmt::format("HTTP/1.1 206 P\r\nContent-Length: 10\r\nContent-Range: bytes 7-16/{}\r\n\r\n0123456789",
                            big_.size());
       }},
      {"a length that is none", [&](const FakeRequest&) { return whole(big_, "-5"); }},
      {"endless headers", [&](const FakeRequest&) { return "HTTP/1.1 200 OK\r\nX: " + std::string(90'000, 'h') + "\r\n\r\n"; }},
      {"no HTTP", [&](const FakeRequest&) { return std::string("SSH-2.0-OpenSSH\r\n"); }},
      {"a missing blob", [&](const FakeRequest&) { return std::string("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n"); }},
      {"a refusal", [&](const FakeRequest&) { return std::string("HTTP/1.1 401 N\r\nContent-Length: 0\r\n\r\n"); }},
  };
  for (const auto& [what, answer] : lies) {
    FakeServer server([&, lie = answer](const FakeRequest& request, FakeConnection& connection) {
      if (is_big(request)) {
        connection.send(lie(request));
        connection.close();
      } else {
        repository_.answer(request, connection);
      }
    });
    Error error = pull_error(server.host() + "/app:1");
    EXPECT_NE(error.code(), ErrorCode::kAlreadyDone) << what;
    EXPECT_NE(error.code(), ErrorCode::kInternal) << what << ": " << error.message();
    expect_nothing_left();
  }
}

TEST_F(PullTest, LiesAboutAManifest) {
  std::string good = repository_.manifests.at("1").second;
  FakeRepository& repository = repository_;
  std::string huge = "{";
  huge.resize(100'000'000, ' ');
  repository.set_manifest("huge", huge + "}");
  repository.set_manifest("nojson", "<html>");
  repository.set_manifest("old", R"({"schemaVersion":1})", "application/vnd.docker.distribution.manifest.v1+prettyjws");
  std::string fewer = good;
  fewer.replace(fewer.rfind(",{\"mediaType\""), std::string::npos, "]}");
  repository.set_manifest("fewer", fewer);
  FakeServer server(honest());
  EXPECT_EQ(pull_error(server.host() + "/app:huge").code(), ErrorCode::kDataLoss);
  EXPECT_EQ(pull_error(server.host() + "/app:nojson").code(), ErrorCode::kDataLoss);
  EXPECT_EQ(pull_error(server.host() + "/app:old").code(), ErrorCode::kNotSupported);
  EXPECT_EQ(pull_error(server.host() + "/app:fewer").code(), ErrorCode::kDataLoss);
  EXPECT_EQ(pull_error(server.host() + "/app:none").message(),
            fmt::format("manifest for {}/app:none not found: manifest unknown: manifest unknown", server.host()));
  std::string digest = "sha256:" + std::string(64, 'e');
  repository.manifests[digest] = {FakeRepository::kManifestType, good};
  EXPECT_EQ(pull_error(server.host() + "/app@" + digest).code(), ErrorCode::kDataLoss);
  expect_nothing_left();
}

TEST_F(PullTest, LayerThatIsNotTheConfigurations) {
  std::string manifest = repository_.manifests.at("1").second;
  std::string evil = layer_of("evil", "1");
  std::string digest = repository_.add(evil);
  std::string old = oci::Hasher::of(layer_of("a", "1")).text();
  manifest.replace(manifest.find(old), old.size(), digest);
  repository_.set_manifest("swapped", manifest);
  FakeServer server(honest());
  // Sizes differ not, digests fit the manifest: only the diff id tells.
  EXPECT_EQ(evil.size(), layer_of("a", "1").size());
  EXPECT_EQ(pull_error(server.host() + "/app:swapped").code(), ErrorCode::kDataLoss);
  expect_nothing_left();
}

TEST_F(PullTest, CorruptArchiveInALayer) {
  repository_.add_image("escape", {ArchiveBuilder().file("../evil", "x").finish()});
  repository_.add_image("junk", {std::string(100'000, 'j')});
  repository_.add_image("short", {layer_of("a", std::string(5000, 'x')).substr(0, 3000)});
  FakeServer server(honest());
  for (const char* tag : {"escape", "junk", "short"}) {
    EXPECT_EQ(pull_error(server.host() + "/app:" + tag).code(), ErrorCode::kDataLoss) << tag;
    expect_nothing_left();
  }
}

TEST_F(PullTest, Hangs) {
  for (const char* where : {"/v2/", "/manifests/", "/blobs/"}) {
    FakeServer server([&, place = std::string(where)](const FakeRequest& request, FakeConnection& connection) {
      bool here = place == "/v2/" ? request.path == place : request.path.find(place) != std::string::npos;
      if (!here) {
        repository_.answer(request, connection);
        return;
      }
      if (place == "/blobs/") {
        connection.send("HTTP/1.1 200 OK\r\n");
      }
      connection.hang();
    });
    auto start = std::chrono::steady_clock::now();
    Error error = pull_error(server.host() + "/app:1");
    EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded) << where << ": " << error.message();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << where;
    expect_nothing_left();
  }
}

TEST_F(PullTest, DripsAByteNowAndThen) {
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (!is_big(request)) {
      repository_.answer(request, connection);
      return;
    }
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", big_.size()));
    while (!connection.closed()) {
      connection.send("x");
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
  EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kDeadlineExceeded);
  expect_nothing_left();
}

TEST_F(PullTest, ClientGoesAway) {
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (!is_big(request)) {
      repository_.answer(request, connection);
      return;
    }
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", big_.size(), big_.substr(0, 2'000'000)));
    cancel->store(true);
    connection.hang();
  });
  Error error = pull_error(server.host() + "/app:1", cancel);
  EXPECT_EQ(error.message(), "context canceled");
  expect_nothing_left();
}

TEST_F(PullTest, RefusedConnectionNamesTheAddress) {
  std::string host;
  { host = FakeServer(honest()).host(); }
  Error error = pull_error(host + "/app:1");
  EXPECT_EQ(error.message(), fmt::format("Get \"http://{}/v2/\": dial tcp {}: connect: connection refused", host, host));
}

TEST_F(PullTest, BearerToken) {
  std::string token = "secret-token";
  std::string realm;
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (request.path.starts_with("/token")) {
      bool good = request.header("authorization") == "Basic dXNlcjpwYXNz";
      connection.respond(good ? 200 : 401, {}, fmt::format(R"({{"token":"{}"}})", token));
    } else if (request.header("authorization") != "Bearer " + token) {
      connection.respond(401, {fmt::format("WWW-Authenticate: Bearer realm=\"{}\",service=\"reg\"", realm)},
                         R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})");
    } else {
      repository_.answer(request, connection);
    }
  });
  realm = "http://" + server.host() + "/token";
  EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kUnauthenticated);
  expect_nothing_left();
  credentials_ = image::Credentials{.username = "user", .password = "pass", .identity_token = {}, .registry_token = {}};
  pull(server.host() + "/app:1");
  size_t tokens = 0;
  for (const FakeRequest& request : server.requests()) {
    if (request.path.starts_with("/token") && !request.header("authorization").empty()) {
      ++tokens;
      EXPECT_NE(request.path.find("scope=repository%3Aapp%3Apull"), std::string::npos) << request.path;
      EXPECT_NE(request.path.find("service=reg"), std::string::npos);
    }
  }
  EXPECT_EQ(tokens, 1U);
  // A token with a line end in it, and a realm that others can read.
  token = "a\\r\\nX-Evil: 1";
  images_->remove(server.host() + "/app:1", image::ImageStore::Force::kYes, {});
  EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kDataLoss);
  realm = "http://192.0.2.1/token";
  EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kUnauthenticated);
}

TEST_F(PullTest, BasicCredentialsStayWithTheirHost) {
  FakeServer elsewhere([&](const FakeRequest& request, FakeConnection& connection) { repository_.answer(request, connection); },
                       "127.0.0.2");
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (request.header("authorization") != "Basic dXNlcjpwYXNz") {
      connection.respond(401, {"WWW-Authenticate: Basic realm=\"x\""}, "");
    } else if (is_blob(request)) {
      connection.respond(307, {"Location: http://" + elsewhere.host() + request.path}, "");
    } else {
      repository_.answer(request, connection);
    }
  });
  EXPECT_EQ(pull_error(server.host() + "/app:1").message(),
            fmt::format("Get \"http://{}/v2/\": no basic auth credentials", server.host()));
  credentials_ = image::Credentials{.username = "user", .password = "pass", .identity_token = {}, .registry_token = {}};
  pull(server.host() + "/app:1");
  ASSERT_FALSE(elsewhere.requests().empty());
  for (const FakeRequest& request : elsewhere.requests()) {
    EXPECT_EQ(request.header("authorization"), "");
  }
}

TEST_F(PullTest, RedirectsThatAreRefused) {
  for (const char* target :
       {"http://192.0.2.1/x", "file:///etc/passwd", "gopher://127.0.0.1/", "", "http://u@127.0.0.1/", "/v2/loop"}) {
    FakeServer server([&, to = std::string(target)](const FakeRequest& request, FakeConnection& connection) {
      if (is_manifest(request) || request.path == "/v2/loop") {
        connection.respond(302, {"Location: " + to}, "");
      } else {
        repository_.answer(request, connection);
      }
    });
    EXPECT_EQ(pull_error(server.host() + "/app:1").code(), ErrorCode::kDataLoss) << target;
  }
  expect_nothing_left();
}

TEST_F(PullTest, OneDownloadForSeveralCallers) {
  FakeServer server([&](const FakeRequest& request, FakeConnection& connection) {
    if (is_big(request)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    repository_.answer(request, connection);
  });
  std::array<std::thread, 4> threads;
  std::atomic<int> good = 0;
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      images_->pull({.reference = server.host() + "/app:1"}, {}, nullptr);
      ++good;
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 4);
  auto requests = server.requests();
  EXPECT_EQ(std::count_if(requests.begin(), requests.end(), [&](const FakeRequest& request) { return is_big(request); }), 1);
}

TEST_F(PullTest, ATagThatMovesLeavesTheOldImageWithoutAName) {
  FakeServer server(honest());
  image::Image old = pull(server.host() + "/app:1");
  repository_.add_image("1", {layer_of("new", "1")});
  image::Image fresh = pull(server.host() + "/app:1");
  EXPECT_NE(old.id, fresh.id);
  EXPECT_TRUE(images_->find(old.id).tags.empty());
  EXPECT_EQ(images_->find(server.host() + "/app:1").id, fresh.id);
}

}  // namespace
}  // namespace bulkhead::test
