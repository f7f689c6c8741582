// A container's streams, as attach clients see them.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

#include "shim_fixture.h"
#include "support/descriptor_passing.h"
#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"
#include "task/file_line.h"

namespace bulkhead {
namespace {

TEST_F(ShimTest, AttachBeforeStartMissesNothing) {
  prepare("echo out; echo err >&2; seq 1 20000");
  create();
  UniqueFd first = attach("");
  UniqueFd second = attach("");
  auto other = std::async(std::launch::async, [&] { return read_to_end(second.get()); });
  start();
  Frames frames = frames_of(read_to_end(first.get()));
  EXPECT_TRUE(frames.out.starts_with("out\n1\n2\n"));
  EXPECT_TRUE(frames.out.ends_with("\n20000\n"));
  EXPECT_EQ(frames.err, "err\n");
  EXPECT_EQ(frames_of(other.get()).out, frames.out);
  EXPECT_EQ(logged("stdout"), frames.out);
  wait();
  remove();
}

TEST_F(ShimTest, StandardInputEndsWhenItsSenderDoes) {
  prepare("cat; echo end");
  create(true);
  UniqueFd attached = attach("", true);
  start();
  std::string text(300'000, 'x');  // more than a pipe holds
  std::thread writer([&] {
    write_all(attached.get(), text);
    ::shutdown(attached.get(), SHUT_WR);
  });
  EXPECT_EQ(frames_of(read_to_end(attached.get())).out, text + "end\n");
  writer.join();
  EXPECT_EQ(wait(), 0U);
  remove();
}

TEST_F(ShimTest, CloseIoEndsStandardInput) {
  prepare("cat; echo end");
  create(true);
  UniqueFd attached = task::attach({.bundle = bundle_, .exec_id = "", .in = true});
  start();
  write_all(attached.get(), "hello\n");
  ::usleep(100'000);
  client_->close_stdin(id_, "");
  EXPECT_EQ(frames_of(read_to_end(attached.get())).out, "hello\nend\n");
  wait();
  remove();
}

TEST_F(ShimTest, WithoutStandardInputThereIsDevNull) {
  prepare("cat; echo end");
  create(false);
  start();
  EXPECT_EQ(wait(), 0U);
  EXPECT_EQ(logged("stdout"), "end\n");
  remove();
}

TEST_F(ShimTest, ATerminalIsOne) {
  prepare("tty; read line; echo \"got $line\"; stty size", true);
  create(true, true);
  UniqueFd attached = attach("", true);
  start();
  client_->resize(id_, "", 33, 77);
  write_all(attached.get(), "hello\n");
  std::string text = read_to_end(attached.get());
  EXPECT_NE(text.find("/dev/"), std::string::npos) << text;
  EXPECT_NE(text.find("got hello\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("33 77\r\n"), std::string::npos) << text;
  EXPECT_EQ(wait(), 0U);
  EXPECT_EQ(logged("stdout"), text);
  remove();
}

TEST_F(ShimTest, ExecHasItsOwnStreams) {
  prepare("sleep 60");
  create();
  start();
  run_exec("one", "cat; echo err >&2; exit 9");
  UniqueFd attached = attach("one", true);
  client_->start(id_, "one");
  write_all(attached.get(), "in\n");
  ::shutdown(attached.get(), SHUT_WR);
  Frames frames = frames_of(read_to_end(attached.get()));
  EXPECT_EQ(frames.out, "in\n");
  EXPECT_EQ(frames.err, "err\n");
  EXPECT_EQ(wait("one"), 9U);
  EXPECT_EQ(client_->remove(id_, "one").code, 9U);
  EXPECT_EQ(logged("stdout"), "");
  client_->kill(id_, "", SIGKILL, true);
  wait();
  remove();
}

TEST_F(ShimTest, ExecWithATerminal) {
  prepare("sleep 60");
  create();
  start();
  client_->exec(id_, "t", process_json({"/bin/sh", "-c", "stty size; tty"}, true),
                {.in = "attach:", .out = "attach:", .terminal = true});
  client_->resize(id_, "t", 20, 60);
  UniqueFd attached = attach("t");
  client_->start(id_, "t");
  std::string text = read_to_end(attached.get());
  EXPECT_TRUE(text.starts_with("20 60\r\n/dev/")) << text;
  EXPECT_EQ(wait("t"), 0U);
  client_->kill(id_, "", SIGKILL, true);
  wait();
  remove();
}

TEST_F(ShimTest, AProcessLeftBehindDoesntHoldTheExec) {
  prepare("sleep 60");
  create();
  start();
  run_exec("bg", "sleep 50 & echo started");
  UniqueFd attached = attach("bg");
  client_->start(id_, "bg");
  EXPECT_EQ(frames_of(read_to_end(attached.get())).out, "started\n");
  EXPECT_EQ(wait("bg"), 0U);
  client_->kill(id_, "", SIGKILL, true);
  wait();
  remove();
}

TEST_F(ShimTest, ASlowReaderPausesTheContainerAndLosesNothing) {
  prepare("yes | head -c 8000000");
  create();
  UniqueFd attached = attach("");
  start();
  ::usleep(300'000);
  EXPECT_EQ(client_->state(id_, "").status, task::Status::kRunning);  // it waits for the reader
  EXPECT_EQ(frames_of(read_to_end(attached.get())).out.size(), 8'000'000U);
  EXPECT_EQ(wait(), 0U);
  remove();
}

TEST_F(ShimTest, AReaderThatGoesAwayHoldsNothing) {
  prepare("yes | head -c 8000000");
  create();
  UniqueFd attached = attach("");
  start();
  ::usleep(200'000);
  attached.reset();
  EXPECT_EQ(wait(), 0U);
  remove();
}

TEST_F(ShimTest, OutputIsSentEvenAfterEverythingWasRemoved) {
  prepare("yes | head -c 700000");
  create();
  UniqueFd attached = attach("");
  start();
  EXPECT_EQ(wait(), 0U);  // less than a reader may be behind
  client_->remove(id_, "");
  client_->shutdown(id_);
  EXPECT_EQ(frames_of(read_to_end(attached.get())).out.size(), 700'000U);
}

TEST_F(ShimTest, AttachRefusesWhatIsNotThere) {
  prepare("exit 0");
  create();
  EXPECT_THROW(attach("no-such-exec"), Error);
  start();
  wait();
  EXPECT_THROW(attach(""), Error);
  remove();
}

TEST_F(ShimTest, DescriptorsThatNobodyAskedForAreClosed) {
  prepare("sleep 60");
  create();
  Pipe first;
  Pipe second;
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  (bundle_ / "attach.sock").native().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  std::string line = task::to_line({.kind = archive::FileRequest::Kind::kStat, .path = "/bin", .owner = {}});
  const std::array<int, 2> descriptors{first.write.get(), second.write.get()};
  ASSERT_EQ(send_with_descriptors(connection.get(), line, descriptors), static_cast<ssize_t>(line.size()));
  EXPECT_EQ(task::parse_file_answer(read_to_end(connection.get())).name, "bin");
  first.write.reset();
  second.write.reset();
  EXPECT_EQ(read_to_end(first.read.get()), "");  // the shim holds no other side
  EXPECT_EQ(read_to_end(second.read.get()), "");
  client_->kill(id_, "", SIGKILL, true);
  wait();
  remove();
}

TEST_F(ShimTest, ServesFifosAsContainerdsClientsPassThem) {
  prepare("cat; echo err >&2");
  for (const char* name : {"in", "out", "err"}) {
    ASSERT_EQ(::mkfifo((folder_ / name).c_str(), 0600), 0);
  }
  UniqueFd out = open_file(folder_ / "out", O_RDONLY | O_NONBLOCK);
  UniqueFd err = open_file(folder_ / "err", O_RDONLY | O_NONBLOCK);
  client_->create({.id = id_,
                   .bundle = bundle_,
                   .rootfs = {},
                   .stdio = {.in = folder_ / "in", .out = folder_ / "out", .err = folder_ / "err"}});
  start();
  {
    UniqueFd in = open_file(folder_ / "in", O_WRONLY);
    write_all(in.get(), "one\n");
  }
  {
    UniqueFd in = open_file(folder_ / "in", O_WRONLY);  // a client that came back
    write_all(in.get(), "two\n");
  }
  client_->close_stdin(id_, "");
  EXPECT_EQ(read_to_end(out.get()), "one\ntwo\n");
  EXPECT_EQ(read_to_end(err.get()), "err\n");
  EXPECT_EQ(wait(), 0U);
  remove();
}

}  // namespace
}  // namespace bulkhead
