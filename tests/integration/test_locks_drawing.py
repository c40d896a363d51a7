"""What `dbaudit locks` draws: Graphviz takes it, and a page is well-formed and harmless."""

import html.parser
import re
import subprocess

import pytest

from stalls import AHEAD, FOR_TABLE, T, idle_reader, row_queue, stall_of, two_stalls
from test_harmless import grants_of
from test_locks import NOW, STATEMENTS, waits_with


@pytest.fixture
def aud(server):
    return server.account("aud", grants_of(server))


def laid_out(graph):
    """Graphviz's own reading of it: errors and warnings are failures."""
    done = subprocess.run(["dot", "-Tplain"], input=graph, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", (done.stderr, graph)
    lines = done.stdout.splitlines()
    return [line for line in lines if line.startswith("node ")], [line for line in lines if line.startswith("edge ")]


class Page(html.parser.HTMLParser):
    VOID = {"meta", "rect", "path"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes = [], set(), []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, tag


ALLOWED = {"html", "head", "meta", "title", "style", "body", "header", "b", "h1", "h2", "p", "ol", "li", "pre", "div", "code", "table", "tr", "th", "td", "svg", "g", "rect", "text", "path"}


def is_harmless_page(text):
    page = Page(text)
    assert page.tags <= ALLOWED, page.tags - ALLOWED
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} and not names & {"src", "href", "style", "xlink:href"}
    assert any("default-src 'none'" in (value or "") for _, value in page.attributes)


@pytest.mark.parametrize("name", STATEMENTS)
def test_graphviz_and_parser_take_any_statement(server, dbaudit, aud, name):
    with stall_of(server, waits_with(STATEMENTS[name])) as stall:
        laid_out(dbaudit("locks", "--format", "dot", *NOW, server=server).out)
        is_harmless_page(dbaudit("locks", "--format", "html", *NOW, server=server).out)


# Trees, several of them, and a queue; that each stall is right in itself is test_locks.py's.
@pytest.mark.parametrize("scenario", [idle_reader, two_stalls, row_queue], ids=lambda one: one.__name__)
def test_graphviz_takes_each_shape(server, dbaudit, aud, scenario):
    with stall_of(server, scenario) as stall:
        nodes, edges = laid_out(dbaudit("locks", "--format", "dot", *NOW, server=server).out)
        assert len(nodes) >= len(stall.waits) and len(edges) >= len(stall.waits)
        is_harmless_page(dbaudit("locks", "--format", "html", *NOW, server=server).out)


def test_five_hundred_are_folded(server, dbaudit, aud):
    server.set_global(max_connections=800)

    def crowd(stall):
        stall.shop()
        stall.session("reader", "BEGIN", "SELECT * FROM shop.t")
        stall.root("reader")
        stall.wait("alter", "ALTER TABLE shop.t ADD COLUMN w INT", FOR_TABLE, T, granted=["reader"])
        for n in range(500):
            stall.wait(f"talker {n}", "SELECT COUNT(*) FROM shop.t", FOR_TABLE, T, ahead=["alter"])

    with stall_of(server, crowd):
        graph = dbaudit("locks", "--format", "dot", *NOW, server=server).out
        nodes, edges = laid_out(graph)
        page = dbaudit("locks", "--format", "html", *NOW, server=server).out
        is_harmless_page(page)
        assert len(nodes) < 20 and len(edges) < 20 and re.search(r"and 49\d more waiting", graph) and re.search(r"and 49\d more waiting", page)
