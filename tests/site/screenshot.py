#!/usr/bin/env python3
"""The site in a browser: each page is drawn, has its navigation beside it, and no picture in it is missing.

  screenshot.py CHROMIUM SITE OUT        leaves OUT/*.png to look at"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

PAGES = {'start': 'index.html', 'guide': 'guide_checkpoint_to_camera.html', 'lesson': 'examples_08_hold_a_target_cpp.html',
         'class': 'classdynofa_1_1session.html'}
SIZE, NAVIGATION = (1280, 900), 280  # pixels; the width that the Doxyfile gives the navigation


def pixels(png):
    """Rows of (r, g, b) of an 8-bit RGB or RGBA picture without interlacing, which is what Chromium writes."""
    at, data, header = 8, b'', None
    while at < len(png):
        length, kind = struct.unpack('>I4s', png[at:at + 8])
        chunk = png[at + 8:at + 8 + length]
        header = struct.unpack('>IIBBBBB', chunk) if kind == b'IHDR' else header
        data += chunk if kind == b'IDAT' else b''
        at += length + 12
    width, height, depth, colour, _, _, interlaced = header
    assert depth == 8 and colour in (2, 6) and not interlaced, header
    size = 3 if colour == 2 else 4
    raw, stride, before, rows = zlib.decompress(data), width * size, bytes(width * size), []
    for y in range(height):
        start = y * (stride + 1)
        how, row = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride if how else 0):
            left, up, corner = row[i - size] if i >= size else 0, before[i], before[i - size] if i >= size else 0
            if how == 1:
                row[i] = row[i] + left & 255
            elif how == 2:
                row[i] = row[i] + up & 255
            elif how == 3:
                row[i] = row[i] + (left + up) // 2 & 255
            else:
                near = left + up - corner
                a, b, c = abs(near - left), abs(near - up), abs(near - corner)
                row[i] = row[i] + (left if a <= b and a <= c else up if b <= c else corner) & 255
        rows.append([tuple(row[i:i + 3]) for i in range(0, stride, size)])
        before = row
    return rows


def dark(rows):
    """Pixels of text: much darker than paper."""
    return sum(sum(p) < 384 for row in rows for p in row)


def look(chromium, page, *options):
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, '--headless=new', '--disable-gpu', '--hide-scrollbars', f'--user-data-dir={profile}',
                   f'--window-size={SIZE[0]},{SIZE[1]}', '--virtual-time-budget=5000', *options, page.as_uri()]
        if os.geteuid() == 0:
            command.insert(1, '--no-sandbox')
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


def main():
    chromium, site, out = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    wrong = []
    for name, page in PAGES.items():
        png = out / (name + '.png')
        png.unlink(missing_ok=True)
        look(chromium, site / page, f'--screenshot={png}')
        rows = pixels(png.read_bytes())
        colours = len({p for row in rows for p in row})
        beside, content = dark([r[:NAVIGATION] for r in rows[60:]]), dark([r[NAVIGATION + 20:] for r in rows[60:]])
        print(f'{name}: {len(rows[0])}x{len(rows)}, {colours} colours, text: {beside} pixels of navigation, {content} of content')
        if (len(rows[0]), len(rows)) != SIZE or colours < 100 or beside < 1000 or content < 3000:
            wrong.append(f'{page}: see {png}')
    tree = re.search(r'(?s)<div id="nav-tree-contents">.*?<div id="splitbar"', look(chromium, site / 'index.html', '--dump-dom'))
    for label in ('Guides', 'Lessons', 'To look up', 'Classes', 'Headers'):
        if not tree or f'>{label}</' not in tree[0]:
            wrong.append(f'index.html: no {label} in the navigation')
    print(*wrong, sep='\n')
    sys.exit(1 if wrong else 0)


main()
