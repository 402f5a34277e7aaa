-- Pages of other markups as people write Markdown: a filter of pandoc's (pandoc.org/lua-filters.html).

local ALERTS = pandoc.List({'note', 'tip', 'important', 'warning', 'caution'})

-- Links between pages without pandoc's own classes.
function Link(link)
  return pandoc.Link(link.content, link.target, link.classes:includes('wikilink') and '' or link.title)
end

-- Org's links to pages; anchors leave.
function Span(span)
  local target = span.attributes.target
  return target and pandoc.Link(pandoc.utils.stringify(span), target) or span.content
end

-- Alerts stay, of other blocks only what they hold, below their title.
function Div(div)
  local first = div.content[1]
  if div.classes[1] == 'title' or ALERTS:includes(div.classes[1]) then return nil end
  if first and first.t == 'Div' and first.classes[1] == 'title' then
    div.content[1] = pandoc.Para({pandoc.Strong(pandoc.utils.blocks_to_inlines(first.content))})
  end
  return div.content
end

function Figure(figure) return figure.content .. figure.caption.long end

-- Markdown's tables have lines of text in their cells, and no foot.
function Table(rows)
  local function plain(row)
    for _, cell in ipairs(row.cells) do
      cell.contents = {pandoc.Plain(pandoc.utils.blocks_to_inlines(cell.contents, {pandoc.Space()}))}
    end
  end
  rows.bodies[1].body:extend(rows.foot.rows)
  rows.foot.rows = {}
  rows.attr = pandoc.Attr()
  rows.head.rows:map(plain)
  for _, part in ipairs(rows.bodies) do part.body:map(plain) end
  return rows
end

-- Lines that are nothing but code, as MediaWiki has them behind a space, are one block.
function Para(para)
  local lines = {''}
  for _, part in ipairs(para.content) do
    if part.t == 'LineBreak' then
      table.insert(lines, '')
    elseif part.t == 'Code' or (part.t == 'Link' and part.content[1].t == 'Code') or
           (part.t == 'Str' and part.text:match('^%p+$')) then
      lines[#lines] = lines[#lines] .. pandoc.utils.stringify(part)
    else
      return nil
    end
  end
  local has_code = para.content:find_if(function(part) return part.t == 'Code' end)
  return has_code and #lines > 1 and pandoc.CodeBlock((table.concat(lines, '\n'):gsub('\194\160', ' '))) or nil
end

-- AsciiDoc's reader makes one character of three points, in code too.
function Code(code)
  code.text = code.text:gsub('\226\128\166', '...')
  return code
end

-- `Code` as Markdown writes it, which other markups take for text, and words of code that pandoc's AsciiDoc parts.
function Inlines(inlines)
  local kept, at = pandoc.List(), 1
  while at <= #inlines do
    local part = inlines[at]
    local before, text
    if part.t == 'Str' then before, text = part.text:match('^([^`]*)`([^`].*)$') end
    local last = at
    while text and not text:find('`') and last < #inlines and (inlines[last + 1].t == 'Str' or inlines[last + 1].t == 'Space') do
      last = last + 1
      text = text .. pandoc.utils.stringify(inlines[last])
    end
    local code, after
    if text then code, after = text:match('^([^`]+)`(.*)$') end
    if code then
      if before ~= '' then kept:insert(pandoc.Str(before)) end
      kept:insert(pandoc.Code(code))
      at = last + 1
      if after ~= '' then
        at = last
        inlines[at] = pandoc.Str(after)
      end
    else
      local code_before = kept[#kept - 1]
      if part.t == 'Code' and code_before and code_before.t == 'Code' and kept[#kept].t == 'Space' then
        kept:remove()
        code_before.text = code_before.text .. ' ' .. part.text
      else
        kept:insert(part)
      end
      at = at + 1
    end
  end
  return kept
end

-- One list where an empty line makes two.
function Blocks(blocks)
  local kept = pandoc.List()
  for _, block in ipairs(blocks) do
    local last = kept[#kept]
    if block.t == 'BulletList' and last and last.t == 'BulletList' then
      last.content:extend(block.content)
    else
      kept:insert(block)
    end
  end
  return kept
end
