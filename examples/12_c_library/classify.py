"""What Python does with libdynofa, by ctypes alone: no compiler, no package.

  python3 classify.py LIBRARY FAMILY [TARGET_MS [FRAMES]]        the picture is made up

Structures are those of dynofa.h. ctypes lets other Python threads run during a call; one thread at a time may be in
Classifier.run, which the library checks.
"""
import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_void_p, sizeof

ABI = 0
RGB, BGR, RGBA, BGRA, GREY, NV12, YUYV, FLOATS = range(1, 9)


class Options(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("target_ms", c_double), ("percentile", c_double), ("counts_preparation", c_int32),
                ("quick_resize", c_int32), ("cache", c_char_p), ("rounds", c_int32), ("threads", c_int32)]


class Frame(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("layout", c_int32), ("width", c_int32), ("height", c_int32), ("colours", c_int32),
                ("range", c_int32), ("reserved", c_int32), ("planes", c_void_p * 3), ("bytes", c_size_t * 3),
                ("strides", c_size_t * 3)]


class Answer(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("class_name", c_char_p), ("class_index", c_int32), ("probability", c_float),
                ("level", c_int32), ("why", c_int32), ("latency_ms", c_double), ("preparation_ms", c_double),
                ("late", c_int32), ("switched", c_int32)]


class Error(Exception):
    def __init__(self, code, sentence):
        super().__init__(sentence)
        self.code = code


def load(path):
    """The library, its functions told what they take. Without that ctypes cuts pointers to 32 bits."""
    lib = ctypes.CDLL(path)
    lib.dynofa_version.restype = lib.dynofa_last_error.restype = lib.dynofa_why.restype = c_char_p
    lib.dynofa_open.argtypes = [c_char_p, POINTER(Options), POINTER(c_void_p)]
    lib.dynofa_close.argtypes, lib.dynofa_close.restype = [c_void_p], None
    lib.dynofa_run.argtypes = [c_void_p, POINTER(Frame), POINTER(Answer)]
    lib.dynofa_set_target.argtypes = [c_void_p, c_double, c_double]
    lib.dynofa_last.argtypes = [c_void_p, POINTER(Answer)]
    lib.dynofa_levels.argtypes, lib.dynofa_why.argtypes = [c_void_p], [c_int32]
    if lib.dynofa_c_abi() != ABI:
        raise Error(0, f"{path}: expected the binary interface {ABI}, got {lib.dynofa_c_abi()}")
    return lib


class Classifier:
    """with Classifier(lib, "family.dynofa", target_ms=20) as net: net.run(pixels, RGB, 640, 480).class_name"""

    def __init__(self, lib, family, target_ms=0, **options):
        self._lib, self._net = lib, c_void_p()
        wanted = Options(size=sizeof(Options), target_ms=target_ms, **options)
        self._check(lib.dynofa_open(str(family).encode(), byref(wanted), byref(self._net)))

    def _check(self, code):
        if code < 0:
            raise Error(code, self._lib.dynofa_last_error().decode())
        return code

    def run(self, pixels, layout, width, height, stride=0):
        """A frame of one plane in a bytes object (or anything that `bytes` takes) -> Answer."""
        held = pixels if isinstance(pixels, bytes) else bytes(pixels)
        frame = Frame(size=sizeof(Frame), layout=layout, width=width, height=height)
        frame.planes[0] = ctypes.cast(c_char_p(held), c_void_p).value
        frame.bytes[0], frame.strides[0] = len(held), stride
        answer = Answer(size=sizeof(Answer))
        self._check(self._lib.dynofa_run(self._net, byref(frame), byref(answer)))
        return answer

    def set_target(self, target_ms, percentile=0):
        self._check(self._lib.dynofa_set_target(self._net, target_ms, percentile))

    def last(self):
        answer = Answer(size=sizeof(Answer))
        self._check(self._lib.dynofa_last(self._net, byref(answer)))
        return answer

    def levels(self):
        return self._check(self._lib.dynofa_levels(self._net))

    def close(self):
        self._lib.dynofa_close(self._net)
        self._net = c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    lib = load(sys.argv[1])
    picture = bytes(i * i >> 8 & 255 for i in range(320 * 240 * 3))
    with Classifier(lib, sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0) as net:
        for i in range(int(sys.argv[4]) if len(sys.argv) > 4 else 1):
            answer = net.run(picture, RGB, 320, 240)
            if answer.switched or i == 0:
                print(f"frame {i}: level {answer.level} of {net.levels()}, {lib.dynofa_why(answer.why).decode()}")
        print(f"dynofa {lib.dynofa_version().decode()}: {answer.class_name.decode()}, {100 * answer.probability:.0f} % "
              f"(class {answer.class_index}, level {answer.level}, {answer.latency_ms:.2f} ms)")


if __name__ == "__main__":
    try:
        main()
    except Error as fault:
        sys.exit(str(fault))
