"""A page of the documentation between whose marks, <!-- NAME: begin --> and <!-- NAME: end -->, a program writes."""
import sys


def rewrite(page, name, lines):
    """`lines()` is not asked for, and nothing written, unless the page has each mark once."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    text = page.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"{page}: expected one {begin.strip()} and one {end}")
    before, rest = text.split(begin)
    page.write_text(before + begin + "\n" + "\n".join(lines()) + "\n\n" + end + rest.split(end)[1])
