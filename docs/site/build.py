#!/usr/bin/env python3
"""Builds the documentation as a site: pages from our Markdown, a lesson from each example with what it printed and drew,
and the reference that Doxygen reads off the public headers.

  build.py SOURCE OUT [--outputs DIR] [--doxygen PROGRAM]

writes OUT/html. DIR holds NAME.txt, what example NAME printed, and in its parent's examples/ the figures it drew; both are
written by the tests `example.*`. Exits with 1 if Doxygen warns, of a public name without a comment for example."""
import argparse
import html
import os
import pathlib
import re
import shutil
import subprocess
import sys

HEADERS = ['include', 'simulate/include', 'backends/cpu/include/dynofa/backend/cpu.hpp',
           'backends/cpu/include/dynofa/backend/cpu/calibration.hpp', 'backends/cpu/include/dynofa/backend/cpu/observer.hpp',
           'backends/cuda/include/dynofa/backend/cuda.hpp']
INCLUDES = ['include', 'simulate/include', 'backends/cpu/include', 'backends/cuda/include']
LINK = re.compile(r'(!?)\[([^\]\[]*)\]\(([^()\s]+)\)')
FENCE = re.compile(r'^ {0,3}(```|~~~)')


def slug(title):
    """The anchor that GitHub gives a heading."""
    title = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title).replace('`', '').strip().lower()
    return re.sub(r'[^\w\- ]', '', title).replace(' ', '-')


def identifier(path):
    return re.sub(r'\W', '_', re.sub(r'^docs/|\.md$', '', path))


class Site:
    def __init__(self, source, out, outputs):
        self.source, self.out, self.outputs = source, out, outputs
        self.work, self.pages = out / 'work', out / 'work/pages'
        self.figures, self.listed, self.titles, self.names = {}, [], {}, 0
        docs = sorted(p for p in (source / 'docs').rglob('*.md'))
        tops = [source / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')]
        self.documents = [str(p.relative_to(source)) for p in tops + docs if p.exists()]
        self.lessons = sorted(str(p.relative_to(source)) for p in (source / 'examples').glob('*.cpp'))
        self.lessons += sorted(str(p.parent.relative_to(source)) for p in (source / 'examples').glob('*/main.cpp'))
        self.lessons.sort(key=lambda p: (p.endswith('quickstart.cpp'), p))

    # ---- links
    def target(self, link, page):
        """What a link of a page leads to: where it stands in the site, or the link itself if it leaves the repository."""
        if re.match(r'[a-z]+:', link):
            return link
        path, _, anchor = link.partition('#')
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if path in self.documents:
            return '@ref ' + (identifier(path) + ('-' + anchor if anchor else '') if path != 'README.md' or anchor else 'index')
        for lesson in self.lessons:
            if path == lesson or path.startswith(lesson + '/'):
                return '@ref ' + identifier(lesson)
        if not (self.source / path).is_file():
            raise SystemExit(f'{page}: no such file: {link}')
        if any(path.startswith(h) for h in HEADERS):
            return 'source:' + path  # finish() knows what Doxygen calls it
        if path.endswith('.csv'): # to be downloaded: Doxygen takes minutes for a page of ten thousand lines
            return self.figure(self.source / path)
        if path not in self.listed:
            self.listed.append(path)
        return '@ref ' + identifier(path)

    def figure(self, path):
        """An image of the site, from a file of any folder."""
        self.figures[path.name] = path
        return path.name

    def rewrite(self, text, page):
        """Markdown as Doxygen wants it: an identifier for the page and each heading, links that lead into the site."""
        def link(match):
            bang, words, to = match.groups()
            if bang:
                name = self.figure(self.source / os.path.dirname(page) / to)
                words = html.escape(words, quote=False).replace('"', "&quot;") # Doxygen takes an apostrophe's &#x27; for a link
                return f'<img src="{name}" alt="{words}"/>\n<p class="caption">{words}</p>'
            return f'[{words}]({self.target(to, page)})'

        lines, fenced, first, headings = [], False, True, 0
        for line in text.split('\n'):
            if FENCE.match(line):
                fenced = not fenced
            heading = re.match(r'(#+) (.*)', line)
            if not fenced and not line.startswith('    '):
                # not inside `code`, where brackets and parentheses are C++
                parts = re.split(r'(`+[^`]*`+)', line) if not heading else [line]
                if re.search(r'\[[^\]]*`[^\]]*\]\(', line):  # code within a link's words
                    parts = [line]
                line = ''.join(p if p.startswith('`') and len(parts) > 1 else LINK.sub(link, p) for p in parts)
                if heading:
                    headings += 1
                    name = identifier(page)
                    if first:
                        self.titles[page] = heading[2]
                        line = f'{line} {{#{"mainpage_title" if page == "README.md" else name}}}'
                    else:
                        line = f'{line} {{#{name}-{slug(heading[2])}}}'
                    if first:
                        lines += [line, '@@TOC']
                        first = False
                        continue
            lines.append(line)
        text = '\n'.join(lines)
        return text.replace('@@TOC', '\n[TOC]' if headings > 4 and page != 'README.md' else '')

    # ---- pages
    def write(self, name, text):
        path = self.pages / (name + '.md')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')

    def lesson(self, path):
        """The page of an example: the comment at its head, what it printed and drew, the program."""
        folder = self.source / path
        files = [folder] if folder.is_file() else sorted(folder.glob('*.hpp')) + [folder / 'main.cpp', folder / 'CMakeLists.txt']
        program = (folder if folder.is_file() else folder / 'main.cpp').read_text(encoding='utf-8')
        name = folder.stem
        number, _, words = name.partition('_')
        title = f'Lesson {int(number)}: {words.replace("_", " ")}' if number.isdigit() else name
        self.titles[path] = title
        text = [f'# {title} {{#{identifier(path)}}}', '']
        body = re.sub(r'\A(//[^\n]*\n)+', '', program)
        head = re.search(r'(?m)^(//(?!/).*\n)+', body)
        for line in head[0].split('\n') if head else []:
            line = re.sub(r'^// ?', '', line)
            line = re.sub(r'docs/[\w/-]+\.md', lambda m: f'[{m[0]}]({self.target("../" + m[0], "examples/x")})', line)
            text.append('    ' + line.strip() if line.startswith('  ') else line)
        arguments = re.search(r'(?m)^// ctest: ?(.*)$', program)
        printed = self.outputs / (name + '.txt')
        if arguments is not None and printed.exists():
            said = printed.read_text(encoding='utf-8', errors='replace').replace(str(self.source) + '/', '')
            text += ['', '## What it printed', '', f'When this page was made, `{(name + " " + arguments[1]).strip()}` printed', '',
                     '~~~{.txt}', said.rstrip('\n'), '~~~', '']
            drawn = re.search(r'--out (\S+)', arguments[1])
            found = self.outputs.parent / 'examples' / (drawn[1] if drawn else '-')
            for svg in [found.with_suffix('.svg')] if not found.is_dir() else sorted(found.glob('*.svg')):
                if svg.exists():
                    text += [f'<img src="{self.figure(svg)}" alt="what {name} drew"/>', '']
        else:
            text += ['', '## What it printed', '', 'It was not run when this page was made.', '']
        text += ['## The program', '']
        for file in files:
            if len(files) > 1:
                text += [f'`{file.relative_to(self.source)}`', '']
            text += self.code(file)
        self.write(identifier(path), '\n'.join(text))

    def code(self, file):
        kind = {'.cpp': '.cpp', '.hpp': '.cpp', '.cu': '.cpp', '.py': '.py'}.get(file.suffix, '.txt')
        content = file.read_text(encoding='utf-8').rstrip('\n')
        return ['~~~~{' + kind + '}', re.sub(r'\A(// (ctest|expect|needs|installed as):?[^\n]*\n)+', '', content), '~~~~', '']

    def write_all(self):
        shutil.rmtree(self.out, ignore_errors=True)
        self.pages.mkdir(parents=True)
        for path in self.lessons:
            self.lesson(path)
        for path in self.documents:
            self.write(path[:-3], self.rewrite((self.source / path).read_text(encoding='utf-8'), path))
        for path in self.listed:
            self.titles[path] = path
            self.write(identifier(path), '\n'.join([f'# {path} {{#{identifier(path)}}}', ''] + self.code(self.source / path)))
        self.write_layout()

    def write_layout(self):
        """Doxygen's own layout with our table of contents in front."""
        def tab(path):
            title = self.titles[path].replace('`', '')
            title = title if path in self.lessons else title.partition(': ')[0]
            return f'<tab type="user" url="@ref {identifier(path)}" title="{html.escape(title)}"/>'

        def group(title, paths):
            return f'<tab type="usergroup" title="{title}">' + ''.join(tab(p) for p in paths) + '</tab>'

        guides = [p for p in self.documents if p.startswith('docs/guide/') and '/boards/' not in p]
        first = 'docs/guide/checkpoint-to-camera.md'
        guides.sort(key=lambda p: (p != first, self.titles[p].lower()))
        tables = [p for p in ('docs/guide/errors.md', 'docs/guide/threads.md', 'docs/guide/memory.md', 'docs/glossary.md') if p in self.documents]
        others = [p for p in self.documents if p not in guides + tables and p != 'README.md']
        index = ('<navindex><tab type="mainpage" title="Start"/>' + group('Guides', [p for p in guides if p not in tables])
                 + group('Lessons', self.lessons) + group('To look up', tables)
                 + '<tab type="classes" title="Classes"><tab type="classlist"/><tab type="classindex"/><tab type="classmembers"/></tab>'
                 + '<tab type="concepts" title="Concepts"/>'
                 + '<tab type="namespaces" title="Namespaces"><tab type="namespacelist"/><tab type="namespacemembers"/></tab>'
                 + '<tab type="files" title="Headers"><tab type="filelist"/></tab>' + group('More', others + self.listed) + '</navindex>')
        layout = self.work / 'layout.xml'
        subprocess.run([arguments.doxygen, '-l', str(layout)], check=True, stdout=subprocess.DEVNULL)
        text = layout.read_text(encoding='utf-8')
        layout.write_text(re.sub(r'(?s)<navindex>.*</navindex>', lambda _: index, text), encoding='utf-8')

    # ---- Doxygen
    def run(self):
        version = re.findall(r'#define DYNOFA_VERSION_\w+ (\d+)', (self.source / 'include/dynofa/core/version.hpp').read_text())
        brief = re.search(r'(?m)^[^#\n].*$', (self.source / 'README.md').read_text(encoding='utf-8'))[0]
        values = {'SOURCE': self.source, 'OUT': self.out, 'WORK': self.work, 'VERSION': '.'.join(version), 'BRIEF': brief,
                  'HEADERS': ' '.join(f'{self.source}/{h}' for h in HEADERS),
                  'INCLUDES': ' '.join(f'{self.source}/{i}' for i in INCLUDES),
                  'FIGURES': ' '.join(str(p) for p in self.figures.values())}
        form = (self.source / 'docs/site/Doxyfile.in').read_text(encoding='utf-8')
        doxyfile = self.work / 'Doxyfile'
        doxyfile.write_text(re.sub(r'@([A-Z]+)@', lambda m: str(values[m[1]]), form), encoding='utf-8')
        log = self.work / 'warnings.txt'
        status = subprocess.run([arguments.doxygen, str(doxyfile)]).returncode
        warnings = log.read_text(encoding='utf-8') if log.exists() else ''
        found = warnings.replace(str(self.work) + '/', '').splitlines() + self.finish()
        print('\n'.join(found))
        return status or bool(found), len(found)

    def finish(self):
        """Links to headers lead to Doxygen's listings of them; links of Doxygen's that lead nowhere go."""
        folder = self.out / 'html'
        listings, faults = {}, []
        for page in folder.glob('*_source.html'):
            title = re.search(r'<title>dynofa: (.*) Source File</title>', page.read_text(encoding='utf-8'))
            if title:
                listings[title[1]] = page.name
        for page in folder.glob('*.html'):
            text = page.read_text(encoding='utf-8')
            new = re.sub(r'"source:([^"]*)"', lambda m: f'"{listings[m[1]]}"', text)
            if 'id="nested-classes"' not in new and 'name="nested-classes"' not in new:  # they are private
                new = new.replace('<a href="#nested-classes">Classes</a> &#124;\n', '')
            if new != text:
                page.write_text(new, encoding='utf-8')
            if page.name.startswith(('class', 'struct', 'namespace', 'concept')) and '-members' not in page.name:
                said = set(re.findall(r'class="memdesc:([^" ]*)"', text))
                for name, row in re.findall(r'(?s)<tr class="memitem:([^" ]*)"[^>]*>(.*?)</tr>', text):
                    self.names += 1
                    if name not in said:
                        faults.append(f'{page.name}: no comment on {re.sub("<[^>]*>", "", row).replace("&#160;", " ").strip()}')
            for words in re.findall(r'(?:"mdescRight">&#160;|<p>)&lt; ?([^<]*)', '' if page.name.endswith('_source.html') else text):
                faults.append(f'{page.name}: a comment that Doxygen gave to another name: {words}')
        for row in re.findall(r'(?s)<tr id="row.*?</tr>', (folder / 'annotated.html').read_text(encoding='utf-8')):
            if '<td class="desc"></td>' in row:
                faults.append(f'annotated.html: no comment on {html.unescape(re.sub("<[^>]*>", "", row)).strip()}')
        for index in folder.glob('navtreeindex*.js'):  # of a page that our table of contents replaces
            index.write_text(index.read_text(encoding='utf-8').replace('"pages.html":[],\n', ''), encoding='utf-8')
        return faults


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('source', type=lambda p: pathlib.Path(p).resolve())
parser.add_argument('out', type=lambda p: pathlib.Path(p).resolve())
parser.add_argument('--outputs', type=lambda p: pathlib.Path(p).resolve(), default=pathlib.Path('outputs'))
parser.add_argument('--doxygen', default='doxygen')
arguments = parser.parse_args()
site = Site(arguments.source, arguments.out, arguments.outputs)
site.write_all()
status, count = site.run()
print(f'{arguments.out}/html/index.html: {len(site.documents)} pages, {len(site.lessons)} lessons, {site.names} public names, {count} warnings')
sys.exit(1 if status else 0)
