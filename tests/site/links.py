#!/usr/bin/env python3
"""Dead links: in the site (files and anchors of every page, and the navigation that its scripts make), and in the
repository's own Markdown, as GitHub shows it. Links that leave the machine are not followed.

  links.py SITE SOURCE"""
import html.parser
import os
import pathlib
import re
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == 'id' or (name == 'name' and tag == 'a'):
                self.anchors.add(value)
            elif name in ('href', 'src', 'data') and value:
                self.links.append(value)

    handle_startendtag = handle_starttag


def leaves(link):
    return re.match(r'[a-z]+:|//', link) is not None


def of_site(folder):
    pages = {p.name: Page(p.read_text(encoding='utf-8')) for p in folder.glob('*.html')}
    links = {(name, link) for name, page in pages.items() for link in page.links}
    for script in list(folder.glob('navtree*.js')) + list((folder / 'search').glob('*_*.js')):
        prefix = 'search/' if script.parent.name == 'search' else ''
        links |= {(prefix + script.name, link) for link in
                  re.findall(r'''["']((?:\.\./)?[\w-]+\.html(?:#[^"']*)?)["']''', script.read_text(encoding='utf-8'))}
    dead = []
    for name, link in sorted(links):
        if leaves(link):
            continue
        path, _, anchor = link.partition('#')
        path = os.path.normpath(os.path.join(os.path.dirname(name), urllib.parse.unquote(path.partition('?')[0]))) if path else name
        anchor = urllib.parse.unquote(anchor)
        if not (folder / path).exists():
            dead.append(f'{name}: {link}: no such file')
        elif anchor and path in pages and anchor not in pages[path].anchors:
            dead.append(f'{name}: {link}: no such place in the page')
    return len(pages), len(links), dead


def without_code(text):
    text = re.sub(r'(?ms)^ {0,3}(```|~~~).*?^ {0,3}\1', '', text)
    return '\n'.join(line for line in text.split('\n') if not line.startswith('    '))


def slug(title):
    title = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title).replace('`', '').strip().lower()
    return re.sub(r'[^\w\- ]', '', title).replace(' ', '-')


def of_markdown(root):
    files = list(root.glob('*.md')) + list((root / 'docs').rglob('*.md')) + list((root / 'examples').rglob('*.md'))
    headings = {p: {slug(h) for h in re.findall(r'(?m)^#+ (.*)$', without_code(p.read_text(encoding='utf-8')))} for p in files}
    count, dead = 0, []
    for file in sorted(files):
        text = re.sub(r'(?<!\[)`[^`\n]*`(?![^\[\n]*\]\()', '', without_code(file.read_text(encoding='utf-8')))
        for link in re.findall(r'\]\(([^()\s]+)\)', text):
            if leaves(link):
                continue
            count += 1
            path, _, anchor = link.partition('#')
            to = pathlib.Path(os.path.normpath(file.parent / path)) if path else file
            if not to.exists():
                dead.append(f'{file.relative_to(root)}: {link}: no such file')
            elif anchor and anchor not in headings.get(to, set()):
                dead.append(f'{file.relative_to(root)}: {link}: no such heading')
    return len(files), count, dead


def judge_itself(scratch):
    """What the checks are for, they find."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / 'a.html').write_text('<a href="b.html"></a><a href="#x"></a><a href="a.html#y"></a><a id="y"></a><img src="c.png"/>')
    (scratch / 'a.md').write_text('# One thing\n[x](#one-thing) [y](#other) [z](none.md)\n```\n[w](gone.md)\n```\n`[v](gone.md)`\n')
    assert len(of_site(scratch)[2]) == 3, of_site(scratch)
    assert len(of_markdown(scratch)[2]) == 2, of_markdown(scratch)


site, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
judge_itself(site.parent / 'links_scratch')
pages, links, dead = of_site(site)
files, relative, dead_relative = of_markdown(source)
print(*dead, *dead_relative, sep='\n')
print(f'{pages} pages with {links} links, {files} Markdown files with {relative} relative links: {len(dead) + len(dead_relative)} dead')
sys.exit(1 if dead or dead_relative or pages < 100 or relative < 50 else 0)
