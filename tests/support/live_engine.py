"""An engine under test from its start to its end."""
import contextlib

from support import images, leftovers


@contextlib.contextmanager
def live_engine(engine):
    """An engine with busybox:1, from start to its end, and the check that nothing is left then."""
    before = leftovers.Before()
    try:
        engine.start()
        load(engine, "busybox:1")
    except BaseException:
        end_by_force(engine)
        raise
    try:
        yield engine
    finally:
        try:
            if not engine.alive():
                engine.start()  # only an engine can tell what its containers left
            engine.api.remove_all_containers()
            engine.stop()
            if engine.name == "bulkheadd":
                before.assert_nothing_left(engine.folder, engine.own_name())
            assert not (reports := engine.sanitizer_reports()), reports
        finally:
            end_by_force(engine)


def end_by_force(engine):
    engine.kill()
    leftovers.sweep(engine.folder)
    engine.clean_up()


def load(engine, name):
    with open(images.image_folder() / images.IMAGES[name], "rb") as archive:
        answer = engine.api.post("/images/load", archive, headers={"Content-Type": "application/x-tar"}, timeout=300)
    assert answer.status == 200 and b'"error"' not in answer.body, answer
    return name
