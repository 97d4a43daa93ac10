"""libdynofa from Python by ctypes: answers, misuse, threads.   check.py LIBRARY FAMILY"""
import ctypes
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/12_c_library"))
import classify  # noqa: E402


def sentence(action, code):
    try:
        action()
    except classify.Error as fault:
        assert fault.code == code, (fault.code, code, str(fault))
        return str(fault)
    raise AssertionError("expected a fault")


lib = classify.load(sys.argv[1])
assert "readable file" in sentence(lambda: classify.Classifier(lib, "nowhere"), -2)
assert "target latency" in sentence(lambda: classify.Classifier(lib, sys.argv[2], -1), -1)
assert "check.py: expected " in sentence(lambda: classify.Classifier(lib, __file__), -3)

width, height = 64, 48
pixels = bytes(i % 251 for i in range(4 * width * height))
with classify.Classifier(lib, sys.argv[2], 1000, rounds=1) as net:
    assert "got none yet" in sentence(net.last, -8)
    assert net.levels() > 1
    assert "memory for 48 rows" in sentence(lambda: net.run(pixels[:100], classify.RGB, width, height), -1)
    assert "enum dynofa_layout" in sentence(lambda: net.run(pixels, 0, width, height), -1)
    assert "NULL" in sentence(lambda: net.run(pixels, classify.NV12, width, height), -1)  # no second plane
    assert "a stride of at least" in sentence(lambda: net.run(pixels, classify.RGB, width, height, 5), -1)
    for layout in (classify.RGB, classify.BGR, classify.RGBA, classify.BGRA, classify.GREY, classify.YUYV):
        answer = net.run(pixels, layout, width, height)
        assert answer.class_name and 0 < answer.probability <= 1, answer.class_name
        assert answer.level == net.levels() - 1 and not answer.late
        last = net.last()
        assert (last.class_index, last.latency_ms) == (answer.class_index, answer.latency_ms)

    # A target from another thread is heeded; a second thread that runs frames is refused or waits its turn, and no more.
    other = threading.Thread(target=net.set_target, args=(1e-6,))
    other.start()
    other.join()
    answer = net.run(pixels, classify.RGB, width, height)
    assert answer.level == 0 and answer.switched and lib.dynofa_why(answer.why) == b"infeasible"
    refused = []

    def many():
        for _ in range(200):
            try:
                net.run(pixels, classify.RGB, width, height)
            except classify.Error as fault:
                refused.append(fault.code)

    threads = [threading.Thread(target=many) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) <= {-7}, refused
assert "pointer" in sentence(net.last, -1)  # closed
print("libdynofa by ctypes is as it should be")
