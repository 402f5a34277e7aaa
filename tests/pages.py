"""Pages read as a browser reads them: what stands under which heading, and what a table's rows say."""

from lxml import html


def parsed(text: str) -> html.HtmlElement:
    """The page as a tree."""
    return html.document_fromstring(text)


def texts(tree: html.HtmlElement, path: str) -> list[str]:
    """Text of the elements at an XPath, spaces made single."""
    return [" ".join(one.text_content().split()) for one in tree.xpath(path)]


def rows(tree: html.HtmlElement, heading: str) -> list[list[str]]:
    """Cells of the first table after a heading of the second or third rank, without its head."""
    (found,) = tree.xpath(f"//*[self::h2 or self::h3][normalize-space()='{heading}']")
    table = found.xpath("following::table[1]")[0]
    return [texts(row, "td") for row in table.xpath("tbody/tr")]


def facts(tree: html.HtmlElement) -> dict[str, str]:
    """Every term of the page's lists of definitions and what it says."""
    names = tree.xpath("//dt")
    return {name.text_content(): name.xpath("string(following-sibling::dd[1])") for name in names}
