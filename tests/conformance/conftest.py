"""Every case here runs once in each mode, by the same commands. One that can't says so with its reason:

    @pytest.mark.one_mode("process", reason="...")
"""
import pytest

MODES = ("process", "hyperv")


def pytest_generate_tests(metafunc):
    if "isolation" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("one_mode")
    modes = [mode for mode in MODES if only is None or mode == only.args[0]]
    if metafunc.config.getoption("--against") != "bulkhead":
        modes = [mode for mode in modes if mode == "process"]  # what engines without a choice do
    metafunc.parametrize("isolation", modes, indirect=True)


@pytest.fixture
def isolation(request):
    return request.param


@pytest.fixture
def docker(engine, make_client, isolation):
    """The docker client, whose every new container is made in the mode of this round."""
    client = make_client(engine)
    client.isolation = None if isolation == "process" else isolation
    return client
