def test_output_and_exit_code(docker):
    assert docker.ok("run", "--rm", "busybox:1", "echo", "hello") == "hello"
