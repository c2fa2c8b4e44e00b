-- Line breaks in cells, columns in proportion to their text, and no image or tag but our own: names come from files.

local function longest_line(cell)
  local longest = 0
  for line in (pandoc.utils.stringify(pandoc.walk_block(pandoc.Div(cell.contents or cell[3] or cell), {
    LineBreak = function() return pandoc.Str("\n") end,
  })) .. "\n"):gmatch("(.-)\n") do
    longest = math.max(longest, utf8.len(line) or #line)
  end
  return longest
end

function RawInline(element)
  if element.text == "<br>" then return pandoc.LineBreak() end
  return pandoc.Str(element.text)
end

function RawBlock(element)
  return pandoc.Para({ pandoc.Str(element.text) })
end

function Image(element)
  if element.src:match("^[%w_.-]*figures/[%w_.-]+$") then return element end
  return element.caption
end

function Table(element)
  local widths, total = {}, 0
  local simple = pandoc.utils.to_simple_table(element)
  for _, row in ipairs({ simple.headers, table.unpack(simple.rows) }) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 4, longest_line(cell))
    end
  end
  for i, width in ipairs(widths) do
    widths[i] = math.min(width, 40)
    total = total + widths[i]
  end
  for i, spec in ipairs(element.colspecs) do
    element.colspecs[i] = { spec[1], (widths[i] or 4) / total }
  end
  return element
end

return { { RawInline = RawInline, RawBlock = RawBlock, Image = Image }, { Table = Table } }
