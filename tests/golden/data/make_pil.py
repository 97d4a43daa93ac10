"""Writes pil_resize.json and pil_decode.json: what Pillow makes of small synthetic pictures.

Made on Debian 12 with python3-pil 9.4.0 (libjpeg-turbo 2.1.5): python3 make_pil.py
The pictures are noise from a linear congruential generator, so that tests can draw them again; long answers are kept
as the FNV-1a hash (64 bits) of their bytes.
"""
import io
import json
import struct
import zlib

import PIL
from PIL import Image, ImageEnhance


def noise(seed, count):
    out = bytearray()
    for _ in range(count):
        seed = (1664525 * seed + 1013904223) % 2**32
        out.append(seed >> 24)
    return bytes(out)


def picture(height, width, seed):
    return Image.frombytes("RGB", (width, height), noise(seed, 3 * height * width))


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 % 2**64
    return f"{h:016x}"


note = f"Pillow {PIL.__version__}, Debian 12; see make_pil.py"

resized = []
sizes = [  # height, width -> height, width; small ones in full
    (1, 1, 3, 2), (2, 3, 5, 4), (7, 5, 3, 2), (8, 8, 8, 8), (8, 8, 4, 4), (5, 9, 9, 5), (13, 1, 4, 3), (1, 17, 2, 5),
    (64, 64, 64, 64), (64, 64, 128, 128), (56, 75, 183, 245), (121, 68, 325, 183), (120, 411, 256, 876),
    (375, 500, 256, 341), (333, 500, 183, 274), (500, 333, 384, 256), (97, 101, 89, 103), (300, 300, 7, 299),
    (257, 129, 1, 1), (31, 640, 97, 11),
]
for seed, (h, w, oh, ow) in enumerate(sizes, 1):
    data = picture(h, w, seed).resize((ow, oh), Image.BILINEAR).tobytes()
    case = {"seed": seed, "from": [h, w], "to": [oh, ow], "fnv1a64": fnv(data)}
    if len(data) <= 200:
        case["pixels"] = list(data)
    resized.append(case)

enhanced = []
for factor in (0.0, 0.5, 0.875, 1.0, 1.125, 1.4375, 3.0):
    p = picture(40, 50, 77)
    enhanced.append({"seed": 77, "size": [40, 50], "factor": factor,
                     "brightness": fnv(ImageEnhance.Brightness(p).enhance(factor).tobytes()),
                     "saturation": fnv(ImageEnhance.Color(p).enhance(factor).tobytes())})

with open("pil_resize.json", "w") as f:
    f.write(json.dumps({"note": note, "resized": resized, "enhanced": enhanced}).replace('}, {', '},\n{') + "\n")

decoded = []


def add(name, p, **options):
    buffer = io.BytesIO()
    p.save(buffer, **options)
    got = Image.open(io.BytesIO(buffer.getvalue()))
    mode = got.mode
    rgb = got.convert("RGB")
    decoded.append({"name": name, "mode": mode, "size": [rgb.height, rgb.width], "file": buffer.getvalue().hex(),
                    "fnv1a64": fnv(rgb.tobytes())})


p = picture(6, 5, 3).resize((21, 18), Image.BILINEAR)  # smooth, odd sizes
add("jpeg 4:2:0", p, format="JPEG", quality=90)
add("jpeg 4:2:2", p, format="JPEG", quality=90, subsampling="4:2:2")
add("jpeg 4:4:4", p, format="JPEG", quality=90, subsampling="4:4:4")
add("jpeg progressive", p, format="JPEG", quality=80, progressive=True)
add("jpeg grey", p.convert("L"), format="JPEG", quality=90)
cmyk = Image.merge("CMYK", [*p.split(), p.convert("L").transpose(Image.FLIP_LEFT_RIGHT)])
add("jpeg cmyk", cmyk, format="JPEG", quality=90)
alpha = p.convert("L").transpose(Image.FLIP_TOP_BOTTOM)
add("png rgb", p, format="PNG")
add("png rgba", Image.merge("RGBA", [*p.split(), alpha]), format="PNG")
add("png grey", p.convert("L"), format="PNG")
add("png grey alpha", Image.merge("LA", [p.convert("L"), alpha]), format="PNG")
add("png 1 bit", p.convert("1"), format="PNG")
add("png palette 8", p.quantize(200), format="PNG")
add("png palette 4", p.quantize(13), format="PNG", bits=4)
add("png palette 2", p.quantize(4), format="PNG", bits=2)
add("png palette transparent", p.quantize(16), format="PNG", transparency=3)
add("png rgb transparent", p, format="PNG", transparency=p.getpixel((0, 0)))


# Pillow writes neither 16-bit RGB nor interlaced PNG: these files are put together here, and Pillow reads them.
def png(width, height, depth, colour, interlace, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows), 9)) + chunk(b"IEND", b""))


def add_file(name, data):
    got = Image.open(io.BytesIO(data))
    mode = got.mode
    rgb = got.convert("RGB")
    decoded.append({"name": name, "mode": mode, "size": [rgb.height, rgb.width], "file": data.hex(),
                    "fnv1a64": fnv(rgb.tobytes())})


deep = noise(9, 6 * 7 * 5)
add_file("png rgb 16 bit", png(7, 5, 16, 2, 0, [deep[42 * y:42 * y + 42] for y in range(5)]))
source = picture(11, 13, 10)
passes = []
for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
    for y in range(y0, 11, dy):
        row = b"".join(bytes(source.getpixel((x, y))) for x in range(x0, 13, dx))
        if row:
            passes.append(row)
add_file("png interlaced", png(13, 11, 8, 2, 1, passes))
grey2 = noise(11, 3 * 6)
add_file("png grey 2 bit", png(11, 6, 2, 0, 0, [grey2[3 * y:3 * y + 3] for y in range(6)]))

with open("pil_decode.json", "w") as f:
    f.write(json.dumps({"note": note, "files": decoded}).replace('}, {', '},\n{') + "\n")
