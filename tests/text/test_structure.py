import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.imports import Import, imports
from tasks.text.structure import Definition, definitions

TYPESCRIPT = """import { a, b as c } from './m';
import d from "d";
export * from './z';

/**
 * Adds.
 * @param x a number
 */
export const add = async (x: number): Promise<number> => {
\treturn c(x);
};

// One line.
export default class Cart<T> extends Base {
\tprivate items = 1;

\t// Sums up.
\ttotal(rate: number): number {
\t\treturn this.tax.of(rate);
\t}
}
export type Size = 'a' | 'b';
const LIMIT = 3;
const q = require('r');
"""


def test_typescript_definitions_have_span_signature_and_comment() -> None:
    found = {item.qualified: item for item in definitions("a/cart.ts", TYPESCRIPT)}
    assert found["add"] == Definition(
        name="add",
        qualified="add",
        kind="function",
        first_line=9,
        last_line=11,
        signature="export const add = async (x: number): Promise<number> =>",
        docstring="Adds.\n@param x a number",
        outer_line=5,
    )
    assert [(item.qualified, item.kind, item.first_line, item.last_line) for item in found.values()] == [
        ("add", "function", 9, 11),
        ("Cart", "class", 14, 21),
        ("Cart.items", "constant", 15, 15),
        ("Cart.total", "method", 18, 20),
        ("Size", "type", 22, 22),
        ("LIMIT", "constant", 23, 23),
        ("q", "constant", 24, 24),
    ]
    assert found["Cart"].signature == "export default class Cart<T> extends Base"
    assert (found["Cart"].docstring, found["Cart"].outer_line) == ("One line.", 13)
    assert (found["Cart.total"].docstring, found["Cart.total"].outer_line) == ("Sums up.", 17)


def test_typescript_imports_are_found_in_order() -> None:
    assert imports("cart.ts", TYPESCRIPT) == [
        Import("./m", ("a", "b"), 1),
        Import("d", ("d",), 2),
        Import("./z", (), 3),
        Import("r", (), 24),
    ]


def test_python_definitions_carry_decorators_and_docstrings() -> None:
    text = (
        "import a.b as c\nfrom .x import y, z\n\n"
        '@dec\ndef f(a,\n      b=1):\n    """Adds."""\n    return g(a)\n\n'
        'class C(B):\n    "Holds."\n    def m(self): pass\n\nX = 1\n'
    )
    found = definitions("m.py", text)
    assert [(item.qualified, item.kind, item.first_line, item.last_line, item.docstring) for item in found] == [
        ("f", "function", 4, 8, "Adds."),
        ("C", "class", 10, 12, "Holds."),
        ("C.m", "method", 12, 12, ""),
        ("X", "constant", 14, 14, ""),
    ]
    assert found[0].signature == "@dec def f(a, b=1)"
    assert imports("m.py", text) == [Import("a.b", (), 1), Import(".x", ("y", "z"), 2)]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "a.go",
            "package p\n// Doc\nfunc (s *S) M(a int) error { return s.q(a) }\ntype S struct { A int }\n",
            ["M", "S"],
        ),
        ("a.rs", "/// doc\npub fn f(a: i32) -> i32 { g(a) }\nimpl S { fn m(&self) {} }\n", ["f", "S", "S.m"]),
        ("a.java", "public class A { int x; public void m(int a) { foo(a); } }\n", ["A", "A.m"]),
        (
            "a.scala",
            "class A(x: Int) { def m(a: Int): Int = f(a) }\nobject O { def k() = 1 }\n",
            ["A", "A.m", "O", "O.k"],
        ),
        ("a.kt", "class A(val x: Int) { fun m(a: Int): Int { return f(a) } }\nfun g() = 1\n", ["A", "A.m", "g"]),
        ("a.rb", "class A < B\n def m(a)\n  foo(a)\n end\nend\n", ["A", "A.m"]),
        ("a.c", "int f(int a) { g(a); return 1; }\nstruct S { int a; };\n", ["f", "S"]),
        ("a.cpp", "namespace n { class C { void m() { x(); } }; }\n", ["n", "n.C", "n.C.m"]),
        ("a.cs", "namespace N { class C { void M(int a) { F(a); } } }\n", ["N", "N.C", "N.C.M"]),
        ("a.php", "<?php\nfunction f($a) { g($a); }\nclass C { public function m() {} }\n", ["f", "C", "C.m"]),
        ("a.swift", "class C { func m(a: Int) -> Int { return f(a) } }\n", ["C", "C.m"]),
        ("a.sh", "f() { g a; }\n", ["f"]),
        ("a.js", "class K { go() {} }\nfunction* gen() {}\n", ["K", "K.go", "gen"]),
    ],
)
def test_definitions_of_each_language_are_named(path: str, text: str, expected: list[str]) -> None:
    assert [item.qualified for item in definitions(path, text)] == expected


def test_syntax_errors_leave_what_could_be_read() -> None:
    text = "export function ok() {}\nfunction broken( {{{\n"
    assert "ok" in [item.name for item in definitions("a.ts", text)]


def test_unknown_language_has_no_structure() -> None:
    assert definitions("a.txt", "def f(): pass") == []
    assert imports("a.txt", "import a") == []


def test_deeply_nested_text_does_not_overflow_the_stack() -> None:
    assert definitions("a.ts", "f(" * 5_000) == []


@given(st.text(), st.sampled_from(["a.ts", "a.tsx", "a.py", "a.go", "a.rb", "a.rs"]))
def test_any_text_is_tolerated_and_spans_lie_within_it(text: str, path: str) -> None:
    lines = text.count("\n") + 1
    for item in definitions(path, text):
        assert 1 <= item.outer_line <= item.first_line <= item.last_line <= lines
    assert all(1 <= entry.line <= lines for entry in imports(path, text))
